"""The list of images: none is missed, and one override reaches all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from kitestring.manifests.build import build
from kitestring.manifests.images import image, images, with_registry
from kitestring.spec.models import Spec
from tests.deployments import specs

DIGEST = "sha256:" + "0f" * 32


def _containers(node: object) -> Iterator[Mapping[str, Any]]:
    """Every container of an object, wherever it is: init containers, jobs in cron jobs, …"""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("containers", "initContainers", "ephemeralContainers"):
                yield from value
            yield from _containers(value)
    elif isinstance(node, list):
        for item in node:
            yield from _containers(item)


def _run(spec: Spec) -> dict[str, set[str]]:
    """Component -> images of its containers."""
    found: dict[str, set[str]] = {}
    for manifest in build(spec).manifests:
        for container in _containers(manifest.body):
            found.setdefault(manifest.component, set()).add(container["image"])
    return found


@settings(max_examples=60)
@given(specs())
def test_the_list_is_what_the_pods_run(spec: Spec) -> None:
    listed: dict[str, set[str]] = {}
    for use in images(spec):
        listed.setdefault(use.component, set()).add(use.image)
    assert listed == _run(spec)
    registry = spec.deployment.images.registry if spec.deployment else None
    if registry is not None:
        assert all(i.startswith(f"{registry}/") for names in listed.values() for i in names)


@settings(max_examples=30)
@given(specs())
def test_every_container_asks_the_registry_as_the_spec_says(spec: Spec) -> None:
    policy = spec.deployment.images.pull_policy if spec.deployment else None
    for manifest in build(spec).manifests:
        for container in _containers(manifest.body):
            assert container["imagePullPolicy"] == policy
            assert not container["image"].endswith(":latest")


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("docker.io/milvusdb/milvus:v2.5.16", "m.example.com/milvusdb/milvus:v2.5.16"),
        ("milvusdb/milvus:v2.5.16", "m.example.com/milvusdb/milvus:v2.5.16"),
        ("etcd:3", "m.example.com/library/etcd:3"),
        ("localhost/a/b:1", "m.example.com/a/b:1"),
        ("registry:5000/a/b:1", "m.example.com/a/b:1"),
        (f"quay.io/minio/minio@{DIGEST}", f"m.example.com/minio/minio@{DIGEST}"),
    ],
)
def test_the_override_replaces_the_registry_and_nothing_else(name: str, mirrored: str) -> None:
    assert with_registry(name, "m.example.com") == mirrored
    assert with_registry(name, None) == name


def test_the_image_of_milvus_follows_its_version(make_spec: Any) -> None:
    assert image(make_spec(version="2.5.16"), "milvus") == "docker.io/milvusdb/milvus:v2.5.16"
    own = make_spec(images={"milvus": f"own/milvus@{DIGEST}"})
    assert image(own, "milvus") == f"own/milvus@{DIGEST}"


def test_what_is_not_provisioned_is_not_listed(make_spec: Any, s3: Any) -> None:
    spec = make_spec(
        minio=None,
        storage=s3,
        etcd={"endpoints": ["e:2379"]},
        message_log={"type": "kafka", "brokers": ["k:9092"]},
    )
    assert {use.image for use in images(spec)} == {"docker.io/milvusdb/milvus:v2.5.16"}

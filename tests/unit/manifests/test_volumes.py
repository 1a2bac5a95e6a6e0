"""Volumes: every claim is an object of its own that fits what the StatefulSet will look for."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.manifests import etcd, kafka, minio
from kitestring.manifests.base import Manifest

_BUILDERS = {"etcd": etcd.manifests, "minio": minio.manifests, "kafka": kafka.manifests}
_REPLICAS = {"etcd": 3, "minio": 4, "kafka": 3}


def _made(make_spec: Any, component: str, **deployment: Any) -> tuple[Manifest, ...]:
    return _BUILDERS[component](make_spec(**{"minio": {"replicas": 4}} | deployment))


def _claims(manifests: tuple[Manifest, ...]) -> list[Manifest]:
    return [m for m in manifests if m.kind == "PersistentVolumeClaim"]


def _stateful(manifests: tuple[Manifest, ...]) -> Manifest:
    return next(m for m in manifests if m.kind == "StatefulSet")


@pytest.mark.parametrize("component", list(_BUILDERS))
def test_a_claim_is_named_as_the_controller_will_look_for_it(
    make_spec: Any, component: str
) -> None:
    manifests = _made(make_spec, component)
    body = _stateful(manifests).body
    (template,) = body["spec"]["volumeClaimTemplates"]
    expected = [
        f"{template['metadata']['name']}-{body['metadata']['name']}-{i}"
        for i in range(_REPLICAS[component])
    ]
    assert [c.name for c in _claims(manifests)] == expected
    assert all(c.body["spec"] == template["spec"] for c in _claims(manifests))


@pytest.mark.parametrize("component", list(_BUILDERS))
def test_claims_outlive_a_destroy_and_are_not_waited_for(make_spec: Any, component: str) -> None:
    manifests = _made(make_spec, component)
    for claim in _claims(manifests):
        assert claim.keep
        # bound by its first pod: whoever waits for it before would wait for ever
        assert claim.body["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
    retention = _stateful(manifests).body["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_claims_are_given_up_only_where_the_spec_says_so(make_spec: Any) -> None:
    manifests = _made(make_spec, "etcd", keep_volumes=False)
    assert not any(c.keep for c in _claims(manifests))
    # a StatefulSet that is replaced must not take its data along all the same
    retention = _stateful(manifests).body["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retention["whenDeleted"] == "Retain"


def test_the_template_may_fall_behind_the_claims(make_spec: Any) -> None:
    assert "spec.volumeClaimTemplates" in _stateful(_made(make_spec, "etcd")).ignore


@pytest.mark.parametrize(
    ("deployment", "storage_class"),
    [
        ({}, None),
        ({"storage_class": "slow"}, "slow"),
        ({"etcd": {"volume": {"size": "1Gi"}}, "storage_class": "slow"}, "slow"),
        (
            {
                "etcd": {"volume": {"size": "1Gi", "storage_class": "fast"}},
                "storage_class": "slow",
            },
            "fast",
        ),
    ],
)
def test_the_nearest_storage_class_wins(
    make_spec: Any, deployment: Any, storage_class: str | None
) -> None:
    for claim in _claims(_made(make_spec, "etcd", **deployment)):
        # none at all is the default class of the cluster; an empty one would be no class
        assert claim.body["spec"].get("storageClassName", None) == storage_class
        assert storage_class is not None or "storageClassName" not in claim.body["spec"]


def test_sizes_are_those_of_the_spec_or_the_documented_ones(make_spec: Any) -> None:
    def size(component: str, **deployment: Any) -> str:
        claim = _claims(_made(make_spec, component, **deployment))[0]
        return str(claim.body["spec"]["resources"]["requests"]["storage"])

    assert [size(c) for c in ("etcd", "minio", "kafka")] == ["10Gi", "100Gi", "50Gi"]
    assert size("etcd", etcd={"volume": {"size": "20Gi"}}) == "20Gi"


def test_a_larger_size_changes_claims_and_nothing_of_the_pods(make_spec: Any) -> None:
    before = _made(make_spec, "etcd", etcd={"volume": {"size": "20Gi"}})
    after = _made(make_spec, "etcd", etcd={"volume": {"size": "30Gi"}})
    changed = [a.kind for a, b in zip(after, before, strict=True) if a.body != b.body]
    assert set(changed) == {"PersistentVolumeClaim", "StatefulSet"}
    templates = ("replicas", "template", "selector")
    assert all(
        _stateful(after).body["spec"][key] == _stateful(before).body["spec"][key]
        for key in templates
    )

"""The bundle: whatever the spec allows is built, and its parts fit each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from kitestring.errors import SpecInvalid
from kitestring.manifests.base import Bundle, Manifest
from kitestring.manifests.build import build
from kitestring.spec.models import Spec
from tests.deployments import specs

OF_THE_USER = {"own-tls", "kafka", "pulsar", "registry"}  # Secrets that tests/deployments.py names


def _pods(bundle: Bundle) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    for manifest in bundle.manifests:
        if manifest.kind in ("Deployment", "StatefulSet"):
            yield manifest, manifest.body["spec"]["template"]
        elif manifest.kind == "CronJob":
            yield manifest, manifest.body["spec"]["jobTemplate"]["spec"]["template"]


def _secrets(node: object) -> Iterator[str]:
    """Names of all Secrets that an object refers to."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("secretKeyRef", "secretRef"):
                yield value["name"]
            elif key == "secretName":
                yield value
            elif key == "imagePullSecrets":
                yield from (item["name"] for item in value)
            else:
                yield from _secrets(value)
    elif isinstance(node, list):
        for item in node:
            yield from _secrets(item)


@settings(max_examples=100)
@given(specs())
def test_whatever_the_spec_allows_is_built_and_fits(spec: Spec) -> None:
    bundle = build(spec)
    keys = [m.key for m in bundle.manifests]
    assert len(keys) == len(set(keys))

    names = {(m.kind, m.name) for m in bundle.manifests}
    planned = {plan.name for plan in bundle.secrets} | OF_THE_USER
    for manifest, template in _pods(bundle):
        if "selector" in manifest.body["spec"]:
            wanted = manifest.body["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= template["metadata"]["labels"].items()
        templates = manifest.body["spec"].get("volumeClaimTemplates", [])
        volumes = {v["name"]: v for v in template["spec"].get("volumes", [])}
        for container in template["spec"]["containers"]:
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in volumes or mount["name"] in {
                    t["metadata"]["name"] for t in templates
                }
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names
        for claim in templates:
            for ordinal in range(manifest.body["spec"]["replicas"]):
                name = f"{claim['metadata']['name']}-{manifest.name}-{ordinal}"
                assert ("PersistentVolumeClaim", name) in names
        if manifest.kind == "StatefulSet":
            assert ("Service", manifest.body["spec"]["serviceName"]) in names
    for manifest in bundle.manifests:
        assert set(_secrets(manifest.body)) <= planned
        assert len(manifest.name) <= 63

    # what is to be ready before is among the components, and stands before
    seen: set[str] = set()
    for component in bundle.components:
        for manifest in bundle.of(component):
            assert set(manifest.after) <= seen | {component}
        seen.add(component)


@settings(max_examples=60)
@given(specs())
def test_every_selector_finds_pods(spec: Spec) -> None:
    bundle = build(spec)
    labels = [template["metadata"]["labels"] for _, template in _pods(bundle)]
    for manifest in bundle.manifests:
        if manifest.kind == "Service":
            wanted = manifest.body["spec"]["selector"]
        elif manifest.kind == "PodDisruptionBudget":
            wanted = manifest.body["spec"]["selector"]["matchLabels"]
        else:
            continue
        assert any(wanted.items() <= pod.items() for pod in labels), manifest.key


@settings(max_examples=40)
@given(specs())
def test_what_holds_data_is_kept_where_the_spec_says_so(spec: Spec) -> None:
    kept = spec.deployment is not None and spec.deployment.keep_volumes
    for manifest in build(spec).manifests:
        if manifest.kind in ("PersistentVolumeClaim", "Namespace"):
            assert manifest.keep is kept


@settings(max_examples=20)
@given(specs())
def test_the_same_spec_gives_the_same_manifests(spec: Spec) -> None:
    again = Spec.model_validate(spec.model_dump())
    one, other = (json.dumps([m.body for m in build(s).manifests]) for s in (spec, again))
    assert one == other


def test_policies_are_there_before_the_first_pod(make_spec: Any) -> None:
    components = build(make_spec()).components
    assert components[:3] == ("namespace", "network", "config")


def test_a_spec_without_a_deployment_is_refused(make_spec: Any) -> None:
    bare = Spec.model_validate(make_spec().model_dump() | {"deployment": None})
    with pytest.raises(SpecInvalid, match="nothing to provision"):
        build(bare)


@pytest.mark.parametrize("name", ["1st", "x" * 41])
def test_a_name_that_kubernetes_would_not_take_is_refused(make_spec: Any, name: str) -> None:
    with pytest.raises(SpecInvalid, match=r"cluster\.name"):
        build(make_spec(name=name))

"""The pack's adapter: what the engine hands over, as the rules see it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pulumi
import pytest
from pulumi_policy.proxy import unknown_checking_proxy

from kitestring.provision.policy import pack
from kitestring.provision.policy.resource import UNKNOWN

ROOT = Path(__file__).parents[4]
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what the engine sends for one


def test_unknown_values_come_through_as_unknown() -> None:
    proxy = unknown_checking_proxy(
        {"a": UNKNOWN_TEXT, "b": [{"c": UNKNOWN_TEXT, "d": 1}, UNKNOWN_TEXT], "e": "text"}
    )
    assert pack.plain(proxy) == {"a": UNKNOWN, "b": [{"c": UNKNOWN, "d": 1}, UNKNOWN], "e": "text"}


def test_a_resource_is_called_as_the_cluster_calls_it() -> None:
    given = SimpleNamespace(
        resource_type="kubernetes:core/v1:PersistentVolumeClaim",
        name="the-resource",
        props={"metadata": {"name": "data-dev-etcd-0", "namespace": "milvus"}},
        opts=SimpleNamespace(protect=True),
        urn="urn:…",
    )
    resource = pack.as_resource(given)
    assert resource.label == "PersistentVolumeClaim `data-dev-etcd-0`"
    assert resource.namespace == "milvus"
    assert resource.protected


def test_the_spec_of_the_policy_goes_before_that_of_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = ROOT / "infra"
    pulumi.runtime.set_all_config({})  # other tests of this process have had theirs
    assert pack.context({}, program).spec is None
    monkeypatch.setenv("KITESTRING_SPEC", "clusters/local.yaml")
    assert pack.context({}, program).spec.cluster.name == "local"  # type: ignore[union-attr]
    pulumi.runtime.set_config("kitestring:spec", "clusters/dev.yaml")
    try:
        assert pack.context({}, program).spec.cluster.name == "dev"  # type: ignore[union-attr]
        named = pack.context({"spec": "clusters/prod.yaml"}, program)
        assert named.spec.cluster.name == "prod-eu"  # type: ignore[union-attr]
    finally:
        pulumi.runtime.set_all_config({})


def test_a_spec_that_is_not_there_is_a_reason_and_no_crash() -> None:
    context = pack.context({"spec": "clusters/nowhere.yaml"}, ROOT / "infra")
    assert context.spec is None
    assert "nowhere.yaml" in context.problem


def test_the_program_of_the_pack_is_thin() -> None:
    assert len((ROOT / "infra" / "policy" / "__main__.py").read_text().splitlines()) < 40

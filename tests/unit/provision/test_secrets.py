"""The provider that makes the values of Secrets: what it keeps, and what it counts."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.manifests.base import CertificatePlan, SecretPlan
from kitestring.provision.secrets import SecretValuesProvider, make_values, recipe_of
from kitestring.spec.types import SecretRef

KEYS = SecretPlan(
    "secrets",
    "n-storage",
    "milvus",
    entries={"access_key": "{access_key}"},
    refs={"access_key": SecretRef(env="KEY")},
)


def certificate(*hosts: str) -> str:
    plan = SecretPlan("secrets", "n-tls", "milvus", certificate=CertificatePlan(hosts))
    return recipe_of(plan)


def made(recipe: str, revision: int | None = 1) -> dict[str, Any]:
    """A resource as the state has it."""
    props = {"name": "n", "namespace": "milvus", "recipe": recipe, "references": {}}
    return {**props, "values": make_values(recipe, {}, {}), "revision": revision}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2.0, 3), (None, 2)])
def test_other_values_are_another_revision(before: int | None, after: int) -> None:
    old = made(certificate("milvus.example"), before)
    new = {**old, "recipe": certificate("milvus.example", "other.example")}
    provider = SecretValuesProvider()
    assert provider.diff("id", old, new).changes
    outs = provider.update("id", old, new).outs
    assert outs is not None
    assert outs["revision"] == after
    assert outs["values"]["tls.crt"] != old["values"]["tls.crt"]
    assert outs["values"]["ca.crt"] == old["values"]["ca.crt"]
    assert not provider.diff("id", outs, {**new, "values": None, "revision": None}).changes


def test_a_rotated_key_is_another_revision_and_the_same_key_is_none() -> None:
    def props(key: str) -> dict[str, Any]:
        return {"recipe": recipe_of(KEYS), "references": {"access_key": key}}

    old = {**props("one"), "values": {"access_key": "one"}, "revision": 4}
    update = SecretValuesProvider().update
    rotated, same = update("id", old, props("two")).outs, update("id", old, props("one")).outs
    assert rotated is not None
    assert same is not None
    assert (rotated["revision"], rotated["values"]) == (5, {"access_key": "two"})
    assert same["revision"] == 4

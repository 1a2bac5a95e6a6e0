"""The Pulumi layer: which resources are declared, in which order, and what the state gets."""

from __future__ import annotations

import base64
import sys
import traceback
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import MockResourceArgs

from kitestring.errors import ProvisionError, SecretMissing
from kitestring.provision.objects.component import MilvusObjects, MilvusObjectsArgs
from kitestring.provision.objects.declare import declare
from kitestring.provision.objects.kinds import KINDS
from kitestring.provision.objects.provider import ObjectProvider
from kitestring.provision.objects.resources import CLASSES
from kitestring.provision.objects.session import names

from ..pulumi_mocks import Program, Recorder  # noqa: TID252 - tests are no package
from .conftest import SpecOf


def _made(_: Recorder, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
    generation = {"generation": "7"} if args.typ.endswith(":Collection") else {}
    return f"{args.name}-id", {**args.inputs, **generation}


def test_every_object_of_the_spec_is_a_resource(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "new_resource", _made)
    loaded = spec_of()
    program = Program().run(lambda: MilvusObjects("dev", MilvusObjectsArgs(loaded)) and None)
    found = {r.name.removeprefix("dev-"): r for r in program.resources if "ynamic" in r.type}
    assert {name: r.type.rpartition("/")[2] for name, r in found.items()} == {
        "collection-docs_v1": "milvus:Collection",
        "partition-docs_v1-p1": "milvus:Partition",
        "index-docs_v1-embedding": "milvus:Index",
        "load-docs_v1": "milvus:Load",
        "alias-docs": "milvus:Alias",
        "role-reader": "milvus:Role",
        "grant-reader": "milvus:Grant",
        "user-app": "milvus:User",
        "inventory": "milvus:Inventory",
    }
    assert {f"dev-{name}" for name in found if name != "inventory"} <= found["inventory"].depends_on
    assert found["alias-docs"].inputs["of"] == "7"  # made again when its collection is


def test_order_and_inventory(spec_of: SpecOf) -> None:
    declared = {d.name: d for d in declare(spec_of())}
    order = list(declared)
    for one in declared.values():
        assert all(order.index(name) < order.index(one.name) for name in one.after)
    assert "load-docs_v1" in declared["alias-docs"].after  # an alias leads to what can answer
    assert "index-docs_v1-embedding" in declared["load-docs_v1"].after
    assert "grant-reader" in declared["user-app"].after
    assert set(declared["inventory"].after) == set(order[:-1])
    assert declared["inventory"].props["holds"] == [
        "collection:default/docs_v1",
        "partition:default/docs_v1/p1",
    ]


def test_a_user_without_a_password_has_that_of_the_deployments_secret(spec_of: SpecOf) -> None:
    deployment = {
        "version": "2.3.5", "mode": "standalone", "minio": {}, "etcd": {"replicas": 1},
    }  # fmt: skip
    loaded = spec_of(
        deployment=deployment,
        storage={"type": "s3", "bucket": "milvus"},
        access={"users": [{"name": "app"}]},
    )
    user = {d.name: d for d in declare(loaded)}["user-app"]
    assert user.props["password"] == {"secret": {"name": "dev-users", "key": "app"}}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_pickled_provider_holds_its_name_and_nothing_else(kind: str) -> None:
    assert kind in CLASSES
    pickled = base64.b64decode(serialize_provider(ObjectProvider(kind)))
    assert b"kitestring.provision.objects.provider" in pickled
    assert len(pickled) < 140, pickled  # by reference: no code, no globals, no environment


def test_configured_names() -> None:
    assert names("adopt", None) == frozenset()
    assert names("adopt", '["default/a", "b"]') == {"default/a", "b"}
    for wrong in ("default/a", '{"a": true}', "7"):
        with pytest.raises(ProvisionError, match="`adopt` is no list of ids"):
            names("adopt", wrong)


def test_an_error_of_the_user_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 100, raising=False)
    provider = ObjectProvider("collection")
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    props = {"connection": {"uri": "http://127.0.0.1:9", "token_env": "NO_SUCH_TOKEN"}}
    with pytest.raises(SecretMissing) as caught:
        provider.create({**props, "database": "default", "name": "c", "fields": []})
    text = "".join(traceback.format_exception(caught.value))  # what the plugin reports
    assert "the environment variable `NO_SUCH_TOKEN` is not set" in text
    assert "hint: export NO_SUCH_TOKEN" in text
    assert "File " not in text

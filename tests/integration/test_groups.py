"""Resource groups of a real server: its one query node is set apart, and given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kitestring.model.collection import DEFAULT_GROUP

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.spec.loaded import LoadedSpec

pytestmark = pytest.mark.server


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[LoadedSpec]:
    """A spec with a group, and its empty server: other tests need the node of theirs."""
    from kitestring.local import running
    from kitestring.spec.load import load

    data = tmp_path / "milvus"
    document: dict[str, Any] = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"embedded": str(data), "timeout": "20s"},
        "state": "state",
        "models": [{"provider": "hashing", "name": "w", "version": "1", "dimension": 8}],
        "resource_groups": [{"name": "online", "nodes": 1}],
        "collections": [
            {
                "name": "docs",
                "model": "w@1",
                "indexes": [{"field": "embedding", "type": "FLAT", "metric": "L2"}],
                "load": {"resource_groups": ["online"]},
            }
        ],
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    with running(data, timeout=120, remove=True):
        yield load(file)


@pytest.fixture
def milvus(loaded: LoadedSpec) -> Iterator[MilvusServer]:
    from kitestring.clients.milvus.connect import connect

    with connect(loaded) as server:
        yield server


def nodes(milvus: MilvusServer) -> dict[str, int]:
    return {group.name: group.available for group in milvus.groups.all()}


def test_from_nothing_to_a_group_and_back(loaded: LoadedSpec, milvus: MilvusServer) -> None:
    from kitestring.drift.run import detect
    from kitestring.enforce.apply import apply
    from kitestring.enforce.plan import plan
    from kitestring.errors import MilvusError, ProvisionRefused
    from kitestring.objects.declare import declared_objects
    from kitestring.objects.kinds import KINDS
    from kitestring.objects.session import LiveSession
    from kitestring.observe import observe
    from kitestring.provision.objects import lifecycle
    from kitestring.spec.adopt import adopt

    def told() -> dict[str, str]:
        return {f.check: f.observed for f in detect(loaded, only=["groups"]).findings}

    declared = list(declared_objects(loaded))
    session = LiveSession(declared[0].props["connection"], frozenset(), frozenset())
    assert declared[0].kind == "resource group"
    assert nodes(milvus) == {DEFAULT_GROUP: 1}
    for one in declared:
        lifecycle.create(KINDS[one.kind], session, one.props)
    assert nodes(milvus) == {DEFAULT_GROUP: 0, "online": 1}
    assert milvus.describe("docs").resource_groups == ("online",)
    assert told() == {}
    adopted = adopt("test", milvus.uri, [milvus.describe("docs")], groups=milvus.groups.all())
    copy = yaml.safe_load(adopted.text)
    assert copy["resource_groups"] == [{"name": "online", "nodes": 1}]
    assert copy["collections"][0]["load"]["resource_groups"] == ["online"]
    for one in declared:
        found = lifecycle.read(KINDS[one.kind], session, one.identity, one.props)
        assert found is not None
        assert not lifecycle.diff(KINDS[one.kind], found, {**found, **one.props}).changed

    group = KINDS["resource group"]
    wanted = declared[0].props
    with pytest.raises(ProvisionRefused, match="wants 1 more query nodes, and 0 are in no group"):
        lifecycle.update(group, session, wanted, {**wanted, "nodes": 2})
    with pytest.raises(MilvusError, match="and no group has 0"):
        milvus.groups.create("other", 1)
    assert "other" not in nodes(milvus)
    with pytest.raises(ProvisionRefused, match="docs is loaded into it"):
        lifecycle.delete(group, session, wanted)

    # somebody takes the node away and loads the collection as ever
    milvus.release("docs")
    milvus.groups.resize("online", 0)
    milvus.load("docs")
    assert told() == {"groups.nodes": "0", "groups.placement": DEFAULT_GROUP}
    seen = lifecycle.read(group, session, "online", wanted)
    assert seen is not None
    lifecycle.update(group, session, seen, wanted)
    actions = plan(loaded, observe(loaded, milvus)).actions
    assert [action.kind for action in actions] == ["set-groups"]
    assert apply(loaded, milvus, actions) == list(actions)
    assert apply(loaded, milvus, actions) == []
    assert told() == {}
    assert milvus.count("docs") == 0

    for one in reversed(declared):
        lifecycle.delete(KINDS[one.kind], session, one.props)
    assert nodes(milvus) == {DEFAULT_GROUP: 1}
    assert milvus.list_collections() == []

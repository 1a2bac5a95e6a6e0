"""Resource groups, and collections that are loaded into them."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.errors import ProvisionRefused
from kitestring.model.collection import DEFAULT_GROUP
from kitestring.objects.groups import place, spread

from .conftest import SpecOf, Stack


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster(query_nodes=3)


def grouped(spec_of: SpecOf, nodes: int = 2, **load: Any) -> Any:
    return spec_of(
        {"load": {"resource_groups": ["online"], **load}},
        resource_groups=[{"name": "online", "nodes": nodes}],
    )


def placed(cluster: MemoryCluster) -> tuple[str, ...]:
    return cluster.connect().describe("docs_v1").resource_groups


def test_up_makes_groups_and_loads_into_them(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(grouped(spec_of, replicas=2))
    assert (cluster.groups, placed(cluster)) == ({"online": 2}, ("online", "online"))
    cluster.calls.clear()
    assert stack.up(grouped(spec_of, replicas=2)) == {}
    assert stack.refresh() == {}
    assert cluster.calls == []


def test_a_group_grows_shrinks_and_a_collection_moves_without_a_release(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    cluster.calls.clear()
    assert stack.up(grouped(spec_of, 1)) == {
        "resource-group-online": "create", "load-docs_v1": "update",
    }  # fmt: skip
    assert cluster.calls == [
        ("resize_group", "online", "1"),
        ("move_replicas", "docs_v1", DEFAULT_GROUP, "online", "1"),
    ]
    assert "searches may fail" in stack.state["load-docs_v1"][2]["effect"]
    assert stack.up(grouped(spec_of, 3)) == {"resource-group-online": "update"}
    assert stack.up(grouped(spec_of, 2)) == {"resource-group-online": "update"}
    assert stack.up(spec_of()) == {"load-docs_v1": "update", "resource-group-online": "delete"}
    assert (cluster.groups, placed(cluster)) == ({}, (DEFAULT_GROUP,))


def test_what_is_moved_by_hand_is_seen_and_put_back(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(grouped(spec_of))
    milvus = cluster.connect()
    milvus.groups.move_replicas("docs_v1", "online", DEFAULT_GROUP, 1)
    milvus.groups.resize("online", 1)
    seen = stack.refresh()
    assert {n: (p or {}).get("nodes") for n, p in seen.items() if n.startswith("res")} == {
        "resource-group-online": 1
    }
    assert (seen["load-docs_v1"] or {})["resource_groups"] == [DEFAULT_GROUP]
    assert set(stack.up(grouped(spec_of))) == {"resource-group-online", "load-docs_v1"}
    assert (cluster.groups, placed(cluster)) == ({"online": 2}, ("online",))


def test_too_few_nodes_are_said_before_anything_is_made(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    with pytest.raises(ProvisionRefused, match="wants 4 more query nodes, and 3 are in no group"):
        stack.up(grouped(spec_of, 4))
    assert cluster.groups == {}


def test_a_group_in_use_is_not_dropped(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(grouped(spec_of))
    with pytest.raises(ProvisionRefused, match="docs_v1 is loaded into it"):
        stack.delete("resource-group-online")
    assert cluster.groups == {"online": 2}


def test_an_index_is_rebuilt_and_the_collection_stays_in_its_group(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(grouped(spec_of))
    index = {"field": "embedding", "type": "HNSW", "metric": "COSINE", "params": {"M": 16}}
    changed = spec_of(
        {"load": {"resource_groups": ["online"]}, "indexes": [index]},
        resource_groups=[{"name": "online", "nodes": 2}],
    )
    assert stack.up(changed) == {"index-docs_v1-embedding": "update"}
    assert placed(cluster) == ("online",)


def test_a_server_that_does_not_move_replicas_loads_again(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    cluster.query_nodes = 4
    stack.up(grouped(spec_of, replicas=2))
    milvus = cluster.connect()
    milvus.groups.resize("a", 1)
    place(milvus, milvus.describe("docs_v1"), ["a", "online"])
    assert sorted(placed(cluster)) == ["a", "online"]
    cluster.calls.clear()
    place(milvus, milvus.describe("docs_v1"), ["online"])  # one of its replicas is there already
    assert [call[0] for call in cluster.calls] == ["move_replicas", "release", "load"]
    assert placed(cluster) == ("online", "online")


def test_one_group_for_all_or_one_for_each() -> None:
    assert spread([], 2) == [DEFAULT_GROUP, DEFAULT_GROUP]
    assert spread(["a"], 2) == ["a", "a"]
    assert spread(["b", "a"], 2) == ["a", "b"]

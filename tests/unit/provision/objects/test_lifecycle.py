"""What `pulumi up`, `refresh` and `destroy` do with what is inside Milvus."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.errors import ProvisionRefused
from kitestring.model.access import Privilege
from kitestring.model.collection import Index

from .conftest import MemorySession, Refused, SpecOf, Stack

INDEX = {"field": "embedding", "type": "HNSW", "metric": "COSINE"}


def changes(cluster: MemoryCluster) -> list[tuple[str, ...]]:
    made = list(cluster.calls)
    cluster.calls.clear()
    return made


def test_up_makes_everything_and_a_second_one_changes_nothing(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    assert set(stack.up(spec_of()).values()) == {"create"}
    milvus = cluster.connect()
    info = milvus.describe("docs")
    assert (info.name, info.load_state, info.properties["collection.ttl.seconds"]) == (
        "docs_v1", "Loaded", "86400",
    )  # fmt: skip
    assert [p.name for p in info.partitions] == ["_default", "p1"]
    assert milvus.admin.roles_of("app") == ("reader",)
    assert cluster.passwords["app"] == "secret-of-app"
    assert {str(p) for p in milvus.admin.privileges("reader")} == {
        "Search on Collection docs_v1",
        "Query on Collection docs_v1",
    }
    changes(cluster)
    assert stack.up(spec_of()) == {}
    assert stack.refresh() == {}
    assert changes(cluster) == []


def test_what_is_there_and_equal_is_adopted(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    changes(cluster)
    assert set(Stack(session).up(spec_of()).values()) == {"create"}  # a new state, as after a loss
    assert changes(cluster) == [("change_password", "app")] or changes(cluster) == []


def test_what_is_there_and_differs_is_named_and_left(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    changes(cluster)
    other = spec_of({"indexes": [{**INDEX, "params": {"M": 16}}]})
    with pytest.raises(ProvisionRefused) as caught:
        Stack(session).up(other)
    assert "params.M" in caught.value.message or "M is 8, not 16" in caught.value.message
    assert "pulumi config set --path 'adopt[0]' default/docs_v1/embedding" in caught.value.hint
    assert ("drop_index", "docs_v1", "embedding") not in changes(cluster)
    session.adopted = frozenset({"default/docs_v1/embedding"})
    Stack(session).up(other)
    assert cluster.connect().describe("docs_v1").indexes[0].index.params["M"] == "16"


def test_another_schema_on_the_server_is_never_adopted(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    session.adopted = frozenset({"default/docs_v1"})
    with pytest.raises(ProvisionRefused, match=r"dynamic is true, not false"):
        Stack(session).up(spec_of({"dynamic": False}))


def test_alias_moved_by_hand_is_seen_and_put_back(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    milvus = cluster.connect()
    milvus.create_collection("other", milvus.describe("docs_v1").schema)
    milvus.move_alias("other", "docs")
    seen = stack.refresh()
    assert list(seen) == ["alias-docs"]
    assert (seen["alias-docs"] or {})["collection"] == "other"
    assert stack.up(spec_of()) == {"alias-docs": "update"}
    assert milvus.alias_owner("docs") == "docs_v1"


def test_index_dropped_by_hand_is_built_again(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    milvus = cluster.connect()
    milvus.release("docs_v1")
    milvus.drop_index("docs_v1", "embedding")
    assert set(stack.refresh()) == {"index-docs_v1-embedding", "load-docs_v1"}
    assert stack.up(spec_of()) == {
        "index-docs_v1-embedding": "create",
        "load-docs_v1": "update",
    }
    assert milvus.describe("docs_v1").loaded


def test_grants_are_narrowed_and_widened(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    admin = cluster.connect().admin
    admin.grant("reader", Privilege("Global", "*", "DropCollection"))
    admin.revoke("reader", Privilege("Collection", "docs_v1", "Query"))
    assert list(stack.refresh()) == ["grant-reader"]
    changes(cluster)
    assert stack.up(spec_of()) == {"grant-reader": "update"}
    assert changes(cluster) == [
        ("grant", "reader", "Query on Collection docs_v1"),
        ("revoke", "reader", "DropCollection on Global *"),
    ]


def test_password_and_roles(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    cluster.passwords["app"] = "changed-by-hand"
    cluster.user_roles["app"].add("admin")
    assert list(stack.refresh()) == ["user-app"]
    assert stack.up(spec_of()) == {"user-app": "update"}
    assert cluster.passwords["app"] == "secret-of-app"
    assert cluster.user_roles["app"] == {"reader"}
    session.passwords["APP_PASSWORD"] = "a new one"
    assert stack.up(spec_of()) == {"user-app": "update"}
    assert cluster.passwords["app"] == "a new one"
    assert cluster.user_roles["app"] == {"reader"}


def test_the_state_has_no_password(stack: Stack, spec_of: SpecOf) -> None:
    stack.up(spec_of())
    text = json.dumps({k: v[2] for k, v in stack.state.items()})
    assert "secret-of-app" not in text
    assert '"token_env": "ROOT_TOKEN"' in text


@pytest.mark.parametrize(
    ("collection", "what"),
    [
        ({"dynamic": False}, "dynamic is true, not false"),
        ({"shards": 2}, "shards is 1, not 2"),
        ({"text_max_length": 1000}, "fields is 32768, not text.max_length 1000"),
        ({"fields": {"chunker": "none"}}, "fields is chunker VARCHAR, not absent"),
    ],
)
def test_a_schema_that_can_not_be_changed_in_place_is_refused_where_rows_would_be_lost(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf,
    collection: dict[str, Any], what: str,
) -> None:  # fmt: skip
    stack.up(spec_of())
    cluster.rows[("default", "docs_v1", "p1")] = 7
    changes(cluster)
    with pytest.raises(Refused) as caught:
        stack.up(spec_of(collection))
    assert what in str(caught.value)
    assert "`default/docs_v1` holds 7 rows" in str(caught.value)
    assert "allow_data_loss[0]' default/docs_v1" in str(caught.value)
    assert changes(cluster) == []
    session.allowed = frozenset({"default/docs_v2"})  # another one
    with pytest.raises(Refused):
        stack.up(spec_of(collection))
    session.allowed = frozenset({"default/docs_v1"})
    assert stack.up(spec_of(collection))["collection-docs_v1"] == "replace"


def test_an_empty_collection_may_be_replaced(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    done = stack.up(spec_of({"dynamic": False}))
    assert done == {
        "collection-docs_v1": "replace",
        "partition-docs_v1-p1": "update",
        "index-docs_v1-embedding": "update",
        "load-docs_v1": "update",
        "alias-docs": "update",
    }
    info = cluster.connect().describe("docs")
    assert (info.schema.dynamic, info.loaded, len(info.partitions)) == (False, True, 2)
    assert stack.up(spec_of({"dynamic": False})) == {}


def test_leaving_out_what_holds_rows_is_refused_before_anything_is_touched(
    cluster: MemoryCluster, stack: Stack, session: MemorySession, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    cluster.rows[("default", "docs_v1", "p1")] = 7
    changes(cluster)
    with pytest.raises(Refused, match=r"the partition `default/docs_v1/p1` holds 7 rows"):
        stack.up(spec_of({"partitions": []}))
    with pytest.raises(Refused, match=r"the collection `default/docs_v1` holds 7 rows"):
        stack.up(spec_of(collections=[], access=None))
    assert changes(cluster) == []
    session.allowed = frozenset({"default/docs_v1", "default/docs_v1/p1"})
    done = stack.up(spec_of(collections=[], access=None))
    assert done["collection-docs_v1"] == "delete"
    assert cluster.connect().list_collections() == []


def test_destroy_stops_at_the_inventory(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    cluster.rows[("default", "docs_v1", "_default")] = 7
    changes(cluster)
    last = list(stack.state)[-1]
    assert last == "inventory"  # depends on all others: the engine deletes it first
    with pytest.raises(ProvisionRefused, match="nothing was touched"):
        stack.delete(last)
    assert changes(cluster) == []


def test_a_collection_that_holds_rows_is_not_dropped_whatever_the_engine_says(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    cluster.rows[("default", "docs_v1", "_default")] = 1
    with pytest.raises(ProvisionRefused, match="holds 1 rows"):
        stack.delete("collection-docs_v1")
    assert cluster.connect().has_collection("docs_v1")


def test_an_index_is_rebuilt_in_place(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    changes(cluster)
    done = stack.up(spec_of({"indexes": [{**INDEX, "params": {"M": 16}}]}))
    assert done == {"index-docs_v1-embedding": "update"}
    assert "searches fall back" in stack.state["index-docs_v1-embedding"][2]["effect"]
    assert [c[0] for c in changes(cluster)] == ["release", "drop_index", "create_index", "load"]
    assert stack.up(spec_of({"indexes": [{**INDEX, "params": {"M": 16}}]})) == {}


def test_a_refused_index_leaves_the_old_one(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    with pytest.raises(ProvisionRefused, match=r"no disk for DISKANN; the old one is back"):
        stack.up(spec_of({"indexes": [{"field": "embedding", "type": "DISKANN", "metric": "L2"}]}))
    info = cluster.connect().describe("docs_v1")
    assert (info.indexes[0].index.type, info.loaded) == ("HNSW", True)


def test_parameters_that_the_server_adds_are_no_difference(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    milvus = cluster.connect()
    milvus.create_index(
        "docs_v1",
        Index("embedding", "embedding", "HNSW", "COSINE",
              {"M": "8", "efConstruction": "32", "mmap.enabled": "false"}),
    )  # fmt: skip
    assert stack.refresh() == {}


def test_replicas_that_do_not_fit_leave_it_loaded(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    with pytest.raises(ProvisionRefused, match=r"can't be loaded with 2 replicas.*with 1 again"):
        stack.up(spec_of({"load": {"replicas": 2}}))
    assert cluster.connect().describe("docs_v1").loaded
    cluster.query_nodes = 2
    assert stack.up(spec_of({"load": {"replicas": 2}})) == {"load-docs_v1": "update"}
    assert stack.up(spec_of({"load": {"loaded": False}})) == {"load-docs_v1": "update"}
    assert not cluster.connect().describe("docs_v1").loaded


def test_properties_are_changed_in_place(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    cluster.server_version = "2.5.16"
    stack.up(spec_of())
    changes(cluster)
    ttl = {"properties": {"collection.ttl.seconds": "60", "mmap.enabled": "true"}}
    assert stack.up(spec_of(ttl)) == {"collection-docs_v1": "update"}
    assert [c[0] for c in changes(cluster)] == ["release", "alter_collection", "load"]
    assert stack.up(spec_of({"properties": {}})) == {"collection-docs_v1": "update"}
    assert cluster.connect().describe("docs_v1").properties == {}


def test_a_description_is_changed_where_the_version_can(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    assert stack.up(spec_of({"description": "x"})) == {"collection-docs_v1": "update"}
    assert "collection.description" not in cluster.connect().describe("docs_v1").properties
    assert stack.refresh() == {}
    cluster.server_version = "2.5.16"
    stack.up(spec_of({"description": "y"}))
    assert cluster.connect().describe("docs_v1").properties["collection.description"] == "y"


def test_a_database_of_its_own(cluster: MemoryCluster, stack: Stack, spec_of: SpecOf) -> None:
    loaded = spec_of(connection={"uri": "http://milvus:19530", "database": "sales"})
    stack.up(loaded)
    assert cluster.connect("sales").has_collection("docs_v1")
    assert cluster.connect("default").list_collections() == []
    assert stack.up(loaded) == {}
    del cluster.databases["sales"]
    assert {"database-sales", "collection-docs_v1", "alias-docs"} <= set(stack.refresh())
    stack.up(loaded)
    assert cluster.connect("sales").has_collection("docs_v1")


def test_an_alias_that_a_dropped_collection_left_is_taken(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    cluster.aliases[("default", "docs")] = "gone"
    stack.up(spec_of())
    assert cluster.connect().alias_owner("docs") == "docs_v1"


def test_an_alias_moved_by_hand_is_not_dropped_with_the_spec(
    cluster: MemoryCluster, stack: Stack, spec_of: SpecOf
) -> None:
    stack.up(spec_of())
    milvus = cluster.connect()
    milvus.create_collection("other", milvus.describe("docs_v1").schema)
    milvus.move_alias("other", "docs")
    stack.up(spec_of({"aliases": []}))
    assert milvus.alias_owner("docs") == "other"


def test_errors_of_inputs_come_before_anything_is_touched(
    cluster: MemoryCluster, stack: Stack
) -> None:
    where = {"connection": {"uri": "http://m:1"}, "database": "default"}
    for kind, props, expected in (
        ("index", {"collection": "c", "field": "e", "type": "HNWS"}, "type"),
        ("alias", {"name": "a"}, "collection"),
        ("collection", {"name": "c", "fields": []}, "fields"),
        ("grant", {"role": "r", "grants": [{"object": "Global"}]}, "grants"),
        ("user", {"name": "u", "password": "hunter2"}, "password"),
        ("user", {"name": "root", "password": {"env": "X"}}, "name"),
        ("role", {"name": "admin"}, "name"),
        ("database", {"name": "default"}, "name"),
        ("partition", {"collection": "", "name": "p"}, "collection"),
    ):
        _, problems = stack.check(kind, "x", {**where, **props})
        assert expected in [what for what, _ in problems], kind
    _, problems = stack.check("role", "x", {"name": "r", "connection": {"url": "x"}})
    assert problems == [("connection", "unknown field 'url' in Way")]
    assert cluster.calls == []

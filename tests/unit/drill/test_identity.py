"""The target of a drill is never the source, whatever it is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.drill.identity import (
    Endpoint,
    refuse_full,
    refuse_same_collections,
    refuse_seen,
    refuse_source,
)
from kitestring.errors import DrillRefused
from kitestring.model.collection import Field, Schema

SOURCE = Endpoint("http://127.0.0.1:19530", Path("/data/a"), 100)
OTHER = Endpoint("http://127.0.0.1:29530", Path("/data/b"), 200)


def test_another_empty_server_is_accepted() -> None:
    refuse_source(SOURCE, OTHER)
    refuse_source(None, OTHER)
    refuse_source(Endpoint("https://milvus.example:443"), OTHER)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Endpoint("http://127.0.0.1:19530"), "both are at"),
        (Endpoint("http://localhost:19530/"), "both are at"),
        (Endpoint("http://0.0.0.0:19530"), "both are at"),
        (Endpoint("http://127.0.0.1:1", None, 100), "the process 100"),
        (Endpoint("http://127.0.0.1:1", Path("/data/a"), 200), "data in /data/a"),
    ],
)
def test_the_source_is_refused_by_whatever_identifies_it(target: Endpoint, words: str) -> None:
    with pytest.raises(DrillRefused, match=words):
        refuse_source(SOURCE, target)


def test_a_target_that_holds_something_is_refused() -> None:
    with pytest.raises(DrillRefused, match="not empty: it has `docs`"):
        refuse_full(OTHER, ["docs"])


def test_one_place_of_segments_is_one_cluster(tmp_path: Path) -> None:
    source = replace(SOURCE, place=(LocalStore(tmp_path / "milvus"), "files"))
    refuse_source(source, replace(OTHER, place=(LocalStore(tmp_path / "milvus"), "other")))
    refuse_source(source, replace(OTHER, place=(MemoryStore("milvus"), "files")))
    with pytest.raises(DrillRefused, match="keep their segments"):
        refuse_source(source, replace(OTHER, place=(LocalStore(tmp_path / "milvus"), "files/")))


def test_collections_that_were_backed_up_are_known_by_their_ids() -> None:
    server = MemoryCluster().connect()
    schema = Schema((Field("id", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=2)))
    server.create_collection("renamed", schema)
    known = server.describe("renamed").id
    refuse_same_collections(server, "http://b", [known + 1])  # type: ignore[arg-type]
    with pytest.raises(DrillRefused, match="`renamed` is the one that was backed up"):
        refuse_same_collections(server, "http://b", [known])  # type: ignore[arg-type]


def test_a_database_of_the_drill_that_shows_up_on_the_source_tells() -> None:
    refuse_seen(["default"], "kitestring_drill_1", "http://b")
    with pytest.raises(DrillRefused, match="is there on the source"):
        refuse_seen(["default", "kitestring_drill_1"], "kitestring_drill_1", "http://b")

"""When a collection's rows are searched by their index, and not by an interim one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from kitestring.backup.restore import serving
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import (
    Field,
    Index,
    LoadedSegment,
    Partition,
    Schema,
    Segment,
)

SCHEMA = Schema(
    (Field("id", "VARCHAR", primary=True, max_length=64), Field("v", "FLOAT_VECTOR", dim=4))
)
BACKUP = CollectionBackup(
    "docs", 7, SCHEMA, 1, (Partition("_default", 8),), "Bounded", {},
    (Index("by_vector", "v", "HNSW", "L2"),), (), True, 1, (), RowDigest(4000, "", ""),
)  # fmt: skip
FLUSHED = [Segment(7, 1, 4000, "Flushed"), Segment(8, 1, 2000, "Flushed", "L0")]


def in_memory(state: str, index: int = 0, number: int = 7, rows: int = 4000) -> LoadedSegment:
    return LoadedSegment(number, rows, state, "by_vector" if index else "", index, (1,))


@dataclass
class Handoff:
    """A server whose query nodes follow a flush look by look."""

    memory: list[list[LoadedSegment]]
    disk: list[Segment] = field(default_factory=lambda: list(FLUSHED))

    def segments(self, name: str) -> list[Segment]:
        return self.disk

    def loaded_segments(self, name: str) -> list[LoadedSegment]:
        return self.memory.pop(0) if len(self.memory) > 1 else self.memory[0]


def words(server: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(serving, "_TAKEN_UP", 0.3)
    return serving.await_taken_up(cast(Milvus, server), BACKUP, "docs")


def test_rows_that_are_growing_in_memory_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    indexed = [in_memory("Sealed", 5)]
    server = Handoff(
        [[], [in_memory("Growing")], [in_memory("Growing"), *indexed], [in_memory("Sealed")],
         indexed]
    )  # fmt: skip
    monkeypatch.setattr(serving, "_TAKEN_UP", 60.0)
    assert serving.await_taken_up(cast(Milvus, server), BACKUP, "docs") == ""
    assert server.memory == [indexed]


def test_the_segments_before_a_compaction_serve_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = [in_memory("Sealed", 5, number, 2500) for number in (3, 4)]
    assert words(Handoff([halves]), monkeypatch) == ""


def test_what_query_nodes_never_take_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = words(Handoff([[in_memory("Growing")]]), monkeypatch)
    assert told.startswith("4,000 rows of `docs` are not searched by their index yet")
    told = words(Handoff([[in_memory("Sealed")]]), monkeypatch)
    assert told.startswith("4,000 rows of `docs`")


def test_what_is_taken_up_at_the_last_moment_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    growing, indexed = [in_memory("Growing")], [in_memory("Sealed", 5)]
    server = Handoff([growing, indexed])

    def too_late(done: Any, **_: Any) -> None:
        assert not done()
        raise MilvusError("the index was not done")

    monkeypatch.setattr(serving, "wait_until", too_late)
    assert words(server, monkeypatch) == ""


def test_rows_that_nobody_flushed_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert words(Handoff([[in_memory("Growing", number=9)]], disk=[]), monkeypatch) == ""


def test_a_server_that_can_not_say_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Handoff):
        def loaded_segments(self, name: str) -> list[LoadedSegment]:
            raise MilvusError("not served here")

    assert words(Silent([[]]), monkeypatch) == ""

"""Compaction of one collection of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kitestring.model.collection import Field, Index, Schema
from tests.waiting import compacted, until

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

SCHEMA = Schema(
    (Field("id", "INT64", primary=True), Field("v", "FLOAT_VECTOR", dim=4)),
)


def test_only_the_collection_that_is_named_is_compacted(
    milvus: MilvusServer, unique: Callable[[str], str]
) -> None:
    named, other = unique("named"), unique("other")

    def segments(name: str) -> list[int]:
        return [segment.id for segment in milvus.segments(name)]

    try:
        for name in (named, other):
            milvus.create_collection(name, SCHEMA)
            milvus.create_index(name, Index("v", "v", "FLAT", "L2"))
            for start in (0, 100):
                rows = [{"id": n, "v": [float(n)] * 4} for n in range(start, start + 100)]
                milvus.insert(name, rows)
                milvus.flush(name)
        before = {name: segments(name) for name in (named, other)}
        compacted(milvus, named)
        assert len(before[named]) == 2
        until(lambda: len(segments(named)) == 1)  # the list changes after the server is done
        assert segments(other) == before[other]
    finally:
        for name in (named, other):
            milvus.drop_collection(name)

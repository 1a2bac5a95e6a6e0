"""Rows of a real server over the API: parts side by side come to what one stream comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kitestring.clients.milvus.filters import every
from kitestring.model.collection import Field, Index, Schema
from kitestring.model.snapshot import RowCensus
from kitestring.observe.api_parts import api_parts
from kitestring.observe.census import take_census
from kitestring.spec.models import FieldMap

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

NUMBERS = [-(2**63), -(2**63) + 1, *range(-60, 60), 10**15, 2**63 - 2]
TEXTS = ["", '"', "\\", *(f'a "quoted" \\ path\n{n:03}' for n in range(120)), "é", "\U0001f600"]
PART = 40


@pytest.fixture
def filled(
    milvus: MilvusServer, unique: Callable[[str], str]
) -> Iterator[Callable[[str, dict[str, Sequence[str | int]]], str]]:
    """Makes a loaded collection from the keys of each partition."""
    made: list[str] = []

    def fill(kind: str, keys: dict[str, Sequence[str | int]]) -> str:
        name = unique("p")
        key = Field("id", kind, primary=True, max_length=64 if kind == "VARCHAR" else None)
        schema = Schema((key, Field("v", "FLOAT_VECTOR", dim=2)))
        milvus.create_collection(name, schema, partitions=[p for p in keys if p != "_default"])
        made.append(name)
        milvus.create_index(name, Index("v", "v", "FLAT", "L2"))
        milvus.load(name)
        for partition, some in keys.items():
            rows = [{"id": one, "v": [0.0, 1.0]} for one in some]
            milvus._client.insert(name, rows, partition_name=partition)
        return name

    yield fill
    for name in made:
        milvus.drop_collection(name)


def both(milvus: MilvusServer, name: str) -> tuple[RowCensus, RowCensus]:
    """In one stream, and in parts."""
    info = milvus.describe(name)
    one = take_census(milvus, info, FieldMap(), None)
    parts = take_census(milvus, info, FieldMap(), None, part_rows=PART)
    return replace(one, seconds=0), replace(parts, seconds=0)


@pytest.mark.parametrize(("kind", "keys"), [("INT64", NUMBERS), ("VARCHAR", TEXTS)])
def test_ranges_of_keys_hold_every_key_once(
    milvus: MilvusServer, filled: Callable[..., str], kind: str, keys: list[str | int]
) -> None:
    twice = [keys[0], keys[70]]
    name = filled(kind, {"_default": [*keys, *twice]})
    assert milvus.count(name) == len(keys) + 2  # and what follows sees them all without waiting
    parts = api_parts(milvus, milvus.describe(name), len(keys) + 2, part_rows=PART)
    assert len(parts) == 3
    one, several = both(milvus, name)
    assert several == one
    assert several.complete, several.reason
    assert (several.rows_read, several.counted, several.duplicate.count) == (
        len(keys), len(keys) + 2, 2,
    )  # fmt: skip
    assert set(several.duplicate.examples) == {str(key) for key in twice}


def test_partitions_are_read_apart(milvus: MilvusServer, filled: Callable[..., str]) -> None:
    keys = [f"k{n:03}" for n in range(100)]
    name = filled("VARCHAR", {"_default": keys[:5], "one": keys[5:30], "two": [*keys[30:], "k007"]})
    assert milvus.count(name, filter=every("id", text=True)) == 101
    parts = api_parts(milvus, milvus.describe(name), 101, part_rows=PART)
    assert [part.partitions for part in parts] == [("_default", "one"), ("two",)]
    one, several = both(milvus, name)
    assert several.complete, several.reason
    # a stream does not see that the key is in two partitions: it finds it by counting
    assert several == replace(one, rows_read=101)
    assert (several.distinct_keys, several.duplicate.examples) == (100, ("k007",))

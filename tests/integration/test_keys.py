"""Rows of any key are read, found and deleted; what a server hides is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from kitestring.errors import RowsHidden
from kitestring.model.collection import Field, Index, Schema
from kitestring.observe.census import take_census
from kitestring.spec.models import FieldMap

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer

Make = Callable[[str, Sequence[str | int]], str]

NUMBERS = (-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 2)
TEXTS = (
    "", " ", "zz", "x" * 200, "é", "\U0001f600", "\U0010ffff", "\u2028", "\ufffd",
    'a"b', "a'b", '"', "'", "a\\b", "\\", "\\\\n", "a\\'b", "%", "50%", "_", "{a}",
    "line\nbreak", "tab\tx", "\r", "\x00nul", "\x01", "\x7f",
)  # fmt: skip


@pytest.fixture
def make(milvus: MilvusServer, unique: Callable[[str], str]) -> Iterator[Make]:
    """Makes a loaded collection with a row of each key."""
    made: list[str] = []

    def of(kind: str, keys: Sequence[str | int]) -> str:
        name = unique("k")
        key = Field("id", kind, primary=True, max_length=200 if kind == "VARCHAR" else None)
        milvus.create_collection(name, Schema((key, Field("v", "FLOAT_VECTOR", dim=2))))
        made.append(name)
        milvus.create_index(name, Index("v", "v", "FLAT", "L2"))
        milvus.load(name)
        milvus.insert(name, [{"id": k, "v": [0.0, 1.0]} for k in keys])
        return name

    yield of
    for name in made:
        milvus.drop_collection(name)


@pytest.mark.parametrize(("kind", "keys"), [("INT64", NUMBERS), ("VARCHAR", TEXTS)])
def test_every_key_is_scanned_found_and_deleted(
    milvus: MilvusServer, make: Make, kind: str, keys: Sequence[str | int]
) -> None:
    name = make(kind, keys)
    for size in (1, 2, 8192):  # each key is the last of a batch once
        batches = milvus.scan(name, ["id"], batch_rows=size)
        read = [key for batch in batches for key in batch.column("id").to_pylist()]
        assert sorted(read) == sorted(keys)
        assert len(read) == len(keys)
    for key in keys:
        assert milvus.get(name, [key], ["id"]) == [{"id": key}]
    assert {row["id"] for row in milvus.get(name, keys, ["id"])} == set(keys)
    milvus.delete(name, keys)
    assert milvus.count(name) == 0


def test_a_row_that_the_server_never_gives_is_told(milvus: MilvusServer, make: Make) -> None:
    name = make("INT64", [1, 2**63 - 1])
    read = []
    with pytest.raises(RowsHidden, match="9223372036854775807"):
        read += [key for b in milvus.scan(name, ["id"]) for key in b.column("id").to_pylist()]
    assert [key for b in milvus.scan(name, ["id"], filter="id < 5") for key in b["id"]]
    census = take_census(milvus, milvus.describe(name), FieldMap(), None)
    assert not census.complete
    assert "9223372036854775807" in census.reason
    milvus.delete(name, [2**63 - 1])
    assert take_census(milvus, milvus.describe(name), FieldMap(), None).complete

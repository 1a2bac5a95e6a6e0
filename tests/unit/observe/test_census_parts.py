"""The census over the API in parts: the same as in one stream, and each part with its verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from kitestring.errors import ServerUnreachable
from kitestring.model.collection import Partition, Schema
from kitestring.model.snapshot import RowCensus, Tally
from kitestring.parallel import Workers
from tests.unit.observe.test_census import INFO, KEYS, SCHEMA, Entries, Rows, census, row

PARTS = {"part_rows": 10}  # five of fifty rows
PARTITIONED = replace(
    INFO, partitions=tuple(Partition(name, i) for i, name in enumerate(("_default", "p", "q")))
)


class Watched(Rows):
    """Notes what was scanned, and calls `after` when a part has been read."""

    def __init__(self, rows: Sequence[dict[str, Any]], schema: Schema = SCHEMA) -> None:
        super().__init__(rows, schema)
        self.scanned: list[tuple[str, tuple[str, ...]]] = []
        self.after: Callable[[str], None] = lambda _: None
        self._lock = threading.Lock()

    def scan(
        self, _name: str, columns: Sequence[str], *, filter: str = "",
        partitions: Sequence[str] = (), batch_rows: int = 8192, strong: bool = True,
    ) -> Iterator[pa.RecordBatch]:  # fmt: skip
        yield from super().scan(
            _name, columns, filter=filter, partitions=partitions, batch_rows=batch_rows
        )
        if strong and len(columns) > 1:
            with self._lock:
                self.scanned.append((filter, tuple(partitions)))
                self.after(filter)


def timeless(found: RowCensus) -> RowCensus:
    return replace(found, seconds=0)


def faulty() -> list[dict[str, Any]]:
    rows = [row(k) for k in KEYS if k not in ("k001", "k033")]
    rows[10] |= {"content_hash": "another"}
    rows[40] |= {"embedding_model": "other@9"}
    return [*rows, row("zebra"), row(""), row("k005"), row("k020"), row("k020"), row("k049")]


@pytest.mark.parametrize("rows", [[row(k) for k in KEYS], faulty()], ids=["faithful", "faulty"])
def test_parts_come_to_the_same_as_one_stream(rows: list[dict[str, Any]]) -> None:
    whole, parted = Watched(rows), Watched(rows)
    expected = census(whole, KEYS)
    assert timeless(census(parted, KEYS, **PARTS)) == timeless(expected)
    assert len(whole.scanned) == 1
    assert len(parted.scanned) == 5
    assert expected.complete


def test_partitions_are_parts_and_a_key_in_two_of_them_is_a_duplicate() -> None:
    rows = [row(k, partition="p" if n < 30 else "q") for n, k in enumerate(KEYS)]
    rows += [row("k000", partition="q"), row("k040", partition="q")]
    server = Watched(rows)
    found = census(server, KEYS, PARTITIONED, **PARTS)
    assert found.complete
    assert (found.counted, found.distinct_keys) == (52, 50)
    assert found.duplicate == Tally(2, ("k000", "k040"))
    assert {partitions for _, partitions in server.scanned} == {("_default",), ("p",), ("q",)}


def test_with_a_partition_key_no_partition_is_named() -> None:
    fields = (*SCHEMA.fields[:2], replace(SCHEMA.fields[2], partition_key=True), *SCHEMA.fields[3:])
    server = Watched([row(k) for k in KEYS], Schema(fields))
    assert census(server, KEYS, replace(PARTITIONED, schema=Schema(fields)), **PARTS).complete
    assert len(server.scanned) == 5
    assert {partitions for _, partitions in server.scanned} == {()}


@pytest.mark.parametrize("lost", ["k000", "k025", "k049"])
def test_a_part_that_was_not_read_whole_is_named(lost: str) -> None:
    server = Watched([row(k) for k in KEYS])
    server.lost = {lost}
    found = census(server, **PARTS)
    assert not found.complete
    assert "count(*) says" in found.reason
    assert "rows of the keys" in found.reason
    assert len(server.scanned) == 6  # that part twice


def test_a_part_that_is_not_whole_and_a_duplicate_elsewhere_do_not_make_up_for_each_other() -> None:
    server = Watched([row(k) for k in [*KEYS, "k003", "k044"]])
    server.lost = {"k030"}
    assert not census(server, **PARTS).complete


def test_a_row_that_comes_between_reading_and_counting_is_no_fault() -> None:
    """And another one goes, so that there are as many rows as before."""
    server = Watched([row(k) for k in KEYS])
    ledger = Entries([*KEYS[:-1], "k000+"])

    def swap(filter_: str) -> None:
        if len(server.scanned) == 1:
            server.rows = [row(k) for k in [*KEYS[:-1], "k000+"]]

    server.after = swap
    with Workers("serial") as one_by_one:
        found = census(server, ledger, workers=one_by_one, **PARTS)
    assert found.complete, found.reason
    assert (found.missing, found.orphan, found.stale) == (Tally(), Tally(), Tally())
    assert found.rows_read == 50
    assert len(server.scanned) == 6


def test_a_row_that_goes_to_another_partition_is_not_told_as_a_duplicate() -> None:
    rows = [row(k, partition="p" if n < 25 else "q") for n, k in enumerate(KEYS)]
    server = Watched(rows)

    def move(_: str) -> None:
        if len(server.scanned) == 2:  # both parts of p, and the first has been counted
            server.rows[0] |= {"partition": "q"}

    server.after = move
    with Workers("serial") as one_by_one:
        found = census(server, None, PARTITIONED, workers=one_by_one, **PARTS)
    assert not found.complete
    assert found.rows_read == 51
    assert found.duplicate == Tally()


def test_a_server_that_goes_away_ends_the_census() -> None:
    server = Watched([row(k) for k in KEYS])

    def gone(_: str) -> None:
        raise ServerUnreachable("gone")

    server.after = gone
    with pytest.raises(ServerUnreachable):
        census(server, KEYS, **PARTS)

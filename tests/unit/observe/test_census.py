"""The census over an in-memory server that answers as Milvus does: distinct keys, all counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import pytest

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import CollectionInfo, Field, Schema
from kitestring.model.ledger import LedgerRow
from kitestring.model.snapshot import RowCensus, Tally
from kitestring.observe.census import take_census
from kitestring.spec.models import FieldMap

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("content_hash", "VARCHAR", max_length=64),
        Field("embedding_model", "VARCHAR", max_length=64),
        Field("chunker", "VARCHAR", max_length=64),
        Field("last_embedded_at", "INT64"),
    )
)
INFO = CollectionInfo("c", 1, SCHEMA, 1, (), "Bounded", {}, (), (), "Loaded", 1)
_TERM = re.compile(r'id (>|<=|in) \[?"([^"]*)"')
_TESTS: dict[str, Callable[[str, str], bool]] = {
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "in": lambda a, b: a == b,
}


class Rows:
    """The part of a server that a census asks, over a list of rows."""

    def __init__(self, rows: Sequence[dict[str, Any]], schema: Schema = SCHEMA) -> None:
        self.rows = list(rows)
        self.schema = schema
        self.counts = 0
        self.lost: set[str] = set()  # keys that a scan does not give
        self.while_read: Callable[[], None] = lambda: None

    def _matching(self, filter_: str) -> list[dict[str, Any]]:
        terms = _TERM.findall(filter_)
        return [r for r in self.rows if all(_TESTS[op](r["id"], value) for op, value in terms)]

    def count(self, _name: str, *, filter: str = "", strong: bool = True) -> int:
        self.counts += 1
        return len(self._matching(filter))

    def scan(
        self, _name: str, columns: Sequence[str], *, filter: str = "", batch_rows: int = 8192
    ) -> Iterator[pa.RecordBatch]:
        distinct = {r["id"]: r for r in self._matching(filter) if r["id"] not in self.lost}
        rows = [distinct[key] for key in sorted(distinct)]
        shape = arrow_schema(self.schema, columns)
        for start in range(0, len(rows), batch_rows):
            part = [{n: r[n] for n in shape.names} for r in rows[start : start + batch_rows]]
            yield pa.RecordBatch.from_pylist(part, schema=shape)
        self.while_read()


def row(key: str, **other: Any) -> dict[str, Any]:
    return {
        "id": key,
        "content_hash": f"hash of {key}",
        "embedding_model": "m@1",
        "chunker": "fixed/200/0/1",
        "last_embedded_at": 0,
        **other,
    }


def census(
    rows: Rows, ledger: Sequence[str] | None = None, info: CollectionInfo = INFO
) -> RowCensus:
    entries = None
    if ledger is not None:
        entries = [
            LedgerRow(key, "d", 0, f"hash of {key}", "m@1", "fixed/200/0/1", 0)
            for key in sorted(ledger)
        ]
    return take_census(
        cast("Milvus", rows), info, FieldMap(), (lambda: entries) if entries is not None else None,
        batch_rows=7,
    )  # fmt: skip


KEYS = [f"k{n:03}" for n in range(50)]


def test_a_faithful_collection() -> None:
    found = census(Rows([row(k) for k in KEYS]), KEYS)
    assert found.complete
    assert (found.rows_read, found.counted, found.ledger_rows) == (50, 50, 50)
    assert found.missing.count + found.orphan.count + found.stale.count == 0
    assert found.models == {"m@1": 50}
    assert found.chunkers == {"fixed/200/0/1": 50}


def test_missing_orphan_and_stale_rows_and_foreign_labels_are_told() -> None:
    rows = [row(k) for k in KEYS if k not in ("k001", "k002")]
    rows[10] |= {"content_hash": "another"}
    rows[11] |= {"embedding_model": "other@9"}
    rows.append(row("zebra", chunker=""))
    found = census(Rows(rows), KEYS)
    assert found.complete
    assert found.missing == Tally(2, ("k001", "k002"))
    assert found.orphan == Tally(1, ("zebra",))
    assert found.stale == Tally(1, ("k012",))
    assert found.models == {"m@1": 48, "other@9": 1}
    assert found.model_examples["other@9"] == ("k013",)
    assert found.chunker_examples[""] == ("zebra",)


def test_a_time_that_is_still_to_come_hides_nothing() -> None:
    """By a clock that was ahead where a row was ingested, or is behind here, the row is newer than
    the scan: what is the matter with it is left out, and may not pass for clean."""
    to_come = 32_503_680_000_000  # the year 3000
    late = [row(k) for k in KEYS]
    late[3] |= {"content_hash": "another", "last_embedded_at": to_come}
    found = census(Rows(late), KEYS)
    assert not found.complete
    assert "`k003`: the time of writing is still to come" in found.reason
    orphan = row("zebra", last_embedded_at=to_come)
    assert not census(Rows([*map(row, KEYS), orphan]), KEYS).complete
    # a row of such a time that is as the ledger says is no matter
    late[3] |= {"content_hash": "hash of k003"}
    assert census(Rows(late), KEYS).complete


@pytest.mark.parametrize("doubled", [["k000"], ["k049"], ["k006", "k007"], KEYS[3:9], KEYS])
def test_duplicates_are_found_though_a_scan_hides_them(doubled: list[str]) -> None:
    rows = Rows([row(k) for k in KEYS] + [row(k) for k in doubled])
    found = census(rows, KEYS)
    assert found.complete
    assert found.duplicate == Tally(len(doubled), tuple(doubled[:5]))
    assert found.distinct_keys == 50
    assert found.counted == 50 + len(doubled)


def test_a_key_that_is_there_five_times_is_one_example() -> None:
    found = census(Rows([row(k) for k in KEYS] + [row("k020")] * 4), KEYS)
    assert found.complete
    assert found.duplicate == Tally(4, ("k020",))


def test_rows_that_a_scan_does_not_show_are_not_taken_for_duplicates() -> None:
    rows = Rows([row(k) for k in KEYS] + [row("k003")])
    rows.lost = {"k030"}
    found = census(rows, KEYS)
    assert not found.complete
    assert "count(*) says 51 rows and 49 keys were read" in found.reason


def test_keys_beyond_the_last_one_scanned_make_it_incomplete() -> None:
    rows = Rows([row(k) for k in KEYS])
    rows.lost = {"k049"}
    assert not census(rows, KEYS).complete


def test_writes_meanwhile_make_it_incomplete() -> None:
    rows = Rows([row(k) for k in KEYS])
    rows.while_read = lambda: rows.rows.pop() and None
    found = census(rows, KEYS)
    assert not found.complete
    assert "count(*) was 50, then 49" in found.reason


def test_without_a_ledger_nothing_is_an_orphan() -> None:
    found = census(Rows([row(k) for k in KEYS]))
    assert found.complete
    assert found.ledger_rows is None
    assert found.orphan.count == 0


def test_a_ledger_of_an_empty_collection() -> None:
    found = census(Rows([]), KEYS[:7])
    assert found.complete
    assert found.missing == Tally(7, tuple(KEYS[:5]))


def test_fields_that_are_not_there_are_not_read() -> None:
    schema = Schema(SCHEMA.fields[:1])
    found = census(Rows([{"id": k} for k in KEYS], schema), KEYS, replace(INFO, schema=schema))
    assert found.complete
    assert found.models is None
    assert found.chunkers is None
    assert found.stale.count == 0


def test_a_collection_that_is_not_loaded_is_not_scanned() -> None:
    rows = Rows([row(k) for k in KEYS])
    found = census(rows, KEYS, replace(INFO, load_state="NotLoad"))
    assert not found.complete
    assert found.reason == "the collection is not loaded"
    assert found.ledger_rows == 50
    assert rows.counts == 0


def test_a_release_meanwhile_is_no_error() -> None:
    rows = Rows([row(k) for k in KEYS])

    def released() -> None:
        raise CollectionNotLoaded("not loaded")

    rows.while_read = released
    found = census(rows, KEYS)
    assert not found.complete
    assert "released" in found.reason

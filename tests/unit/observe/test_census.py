"""The census over an in-memory server that answers as Milvus does: distinct keys, all counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pyarrow as pa
import pytest

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import CollectionInfo, Field, Schema
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
        self.counts = self.asked = 0
        self.lost: set[str] = set()  # keys that a scan does not give
        self.while_read: Callable[[], None] = lambda: None

    def _matching(self, filter_: str, partitions: Sequence[str] = ()) -> list[dict[str, Any]]:
        terms = _TERM.findall(filter_)
        return [
            r
            for r in self.rows
            if all(_TESTS[op](r["id"], value) for op, value in terms)
            and (not partitions or r.get("partition") in partitions)
        ]

    def count(
        self, _name: str, *, filter: str = "", partitions: Sequence[str] = (), strong: bool = True
    ) -> int:
        self.counts += 1
        return len(self._matching(filter, partitions))

    def get(self, _name: str, keys: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        self.asked += len(keys)
        return [{n: r[n] for n in columns} for r in self.rows if r["id"] in keys]

    def scan(
        self,
        _name: str,
        columns: Sequence[str],
        *,
        filter: str = "",
        partitions: Sequence[str] = (),
        batch_rows: int = 8192,
        strong: bool = True,
    ) -> Iterator[pa.RecordBatch]:
        matching = self._matching(filter, partitions)
        distinct = {r["id"]: r for r in matching if r["id"] not in self.lost}
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


class Entries:
    """A ledger of a few rows, as a census asks for it."""

    def __init__(self, keys: Sequence[str], contents: dict[str, str] | None = None) -> None:
        self.rows = {key: f"hash of {key}" for key in sorted(keys)} | (contents or {})
        self.held = False

    def columns(self) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[int]]]:
        if self.rows:
            yield list(self.rows), list(self.rows.values()), [0] * len(self.rows)

    def nth_key(self, first: str, position: int) -> str | None:
        after = [key for key in sorted(self.rows) if key >= first]
        return after[position] if position < len(after) else None

    def contents(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def busy(self) -> bool:
        return self.held


def census(
    rows: Rows,
    ledger: Sequence[str] | Entries | None = None,
    info: CollectionInfo = INFO,
    **how: Any,
) -> RowCensus:
    entries = ledger if ledger is None or isinstance(ledger, Entries) else Entries(ledger)
    return take_census(cast("Milvus", rows), info, FieldMap(), entries, batch_rows=7, **how)


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
    assert found.missing.count == 7
    assert len(set(found.missing.examples) & set(KEYS[:7])) == 5


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


def test_what_is_on_its_way_is_looked_at_again_before_it_is_told() -> None:
    """Written, changed and deleted by an ingestion between the readings of the two sides."""
    rows = Rows([row(k) for k in KEYS])
    ledger = Entries([*KEYS[1:], "new"], {"k005": "hash of the new k005"})
    del ledger.rows["k006"]
    ledger.held = True

    def written() -> None:
        rows.rows = [row("new"), row("k005", content_hash="hash of the new k005")]
        rows.rows += [row(k) for k in KEYS if k not in ("k000", "k005", "k006")]
        rows.rows.append(row("extra"))  # as many rows as before

    rows.while_read = written
    found = census(rows, ledger)
    assert found.complete
    assert (found.missing, found.orphan, found.stale) == (Tally(), Tally(), Tally())
    assert rows.asked


def test_what_still_differs_after_a_second_look_is_told() -> None:
    rows = Rows([row(k) for k in KEYS[1:]] + [row("zebra")])
    rows.rows[5] |= {"content_hash": "another"}
    ledger = Entries(KEYS)
    ledger.held = True
    found = census(rows, ledger)
    assert found.complete
    assert found.missing == Tally(1, ("k000",))
    assert found.orphan == Tally(1, ("zebra",))
    assert found.stale == Tally(1, ("k006",))


def test_content_at_several_keys_of_a_tenant_is_told() -> None:
    schema = Schema((*SCHEMA.fields, Field("tenant_id", "VARCHAR", max_length=64)))
    rows = [row(k, tenant_id="one") for k in KEYS]
    for at in (3, 4, 9):
        rows[at] |= {"content_hash": "the same"}
    rows[20] |= {"content_hash": "hash of k021", "tenant_id": "two"}  # another tenant's
    for at in (30, 31):
        rows[at] |= {"content_hash": ""}
    found = census(Rows(rows, schema), None, replace(INFO, schema=schema))
    assert found.duplicate_content is not None
    assert found.duplicate_content.count == 2 + 1
    assert len(found.duplicate_content.examples) == 3
    assert census(Rows([row(k) for k in KEYS])).duplicate_content == Tally()

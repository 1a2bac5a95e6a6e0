"""The comparison of sorted runs against one that uses sets."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.model.murmur import hash_column
from kitestring.observe.reconcile import Place, Reconciled, reconcile
from kitestring.observe.records import ROW, Records, Run, group, make_run, slices
from kitestring.observe.take import row_records
from kitestring.parallel import Serial, open_executor

# keys that collide often, empty ones, and some outside ASCII and the basic plane
KEYS = st.one_of(st.sampled_from("abcdefghij"), st.text(max_size=3))
HASHES = st.sampled_from(["h1", "h2", None])
NOW = 1000
Row = tuple[str, str | None]


def records(rows: Sequence[Row], at: int = 0, part: int = 0) -> Records:
    keys = pa.array([k.encode("utf-8", "surrogatepass") for k, _ in rows], pa.binary())
    content = hash_column(pa.array([c for _, c in rows], pa.string()))
    return row_records(hash_column(keys), content, at, part, np.arange(len(rows), dtype=np.uint32))


def compared(
    store: Sequence[Row],
    ledger: Sequence[Row] | None,
    at: tuple[int, int] = (0, 0),
    watermark: int | None = None,
) -> Reconciled:
    """In two runs of the store, one in a file, and small slices."""
    with tempfile.TemporaryDirectory() as folder:
        half = len(store) // 2
        runs = [
            make_run(records(store[:half], at[0], 0), None),
            make_run(records(store[half:], at[0], 1), Path(folder) / "run"),
        ]
        theirs = None if ledger is None else [make_run(records(ledger, at[1]), None)]
        return reconcile(Serial(), runs, theirs, watermark=watermark, slice_rows=5)


def key_of(store: Sequence[Row], place: Place) -> str:
    half = len(store) // 2
    return store[place[1] + (half if place[0] else 0)][0]


@settings(max_examples=60)
@given(st.lists(st.tuples(KEYS, HASHES), max_size=30), st.dictionaries(KEYS, HASHES, max_size=30))
def test_runs_and_sets_agree(store: list[Row], ledger: dict[str, str | None]) -> None:
    entries = {key: value or "h1" for key, value in ledger.items()}
    result = compared(store, list(entries.items()))
    keys = {key for key, _ in store}
    stale = {k for k, c in store if k in entries and c is not None and c != entries[k]}

    assert result.store_rows == len(store)
    assert result.store_keys == len(keys)
    assert result.ledger_rows == len(entries)
    assert result.missing.count == len(set(entries) - keys)
    assert result.orphan.count == len(keys - set(entries))
    assert result.stale.count == len(stale)
    assert result.duplicate.count == sum(n - 1 for n in Counter(k for k, _ in store).values())
    listed = list(entries)
    assert {listed[p] for _, p, _ in result.missing.places} <= set(entries) - keys
    assert {key_of(store, p) for p in result.orphan.places} <= keys - set(entries)
    assert {key_of(store, p) for p in result.stale.places} <= stale
    assert len(result.missing.places) == min(5, result.missing.count)
    assert len(result.orphan.places) == min(5, result.orphan.count)


@pytest.mark.parametrize("at", [NOW, NOW + 1])
def test_rows_written_after_the_watermark_are_in_flight(at: int) -> None:
    store: list[Row] = [("changed", "h2"), ("new", "h1")]
    result = compared(store, [("changed", "h1")], (at, 0), NOW)
    settled = at <= NOW
    assert (result.orphan.count, result.stale.count) == (settled, settled)
    assert result.in_flight.count == (0 if settled else 2)
    result = compared([("changed", "h2")], [("changed", "h1"), ("gone", "h1")], (0, at), NOW)
    assert (result.missing.count, result.stale.count) == (settled, settled)
    assert result.in_flight.newest == (0 if settled else at)


def test_no_ledger_tells_duplicates_only() -> None:
    result = compared([("a", "h1"), ("a", "h1"), ("b", "h1")], None)
    assert (result.duplicate.count, result.orphan.count, result.store_keys) == (1, 0, 2)


def test_hashes_whose_first_half_is_equal_are_told_apart() -> None:
    rows = np.zeros(6, ROW)
    rows["first"] = 7
    rows["second"] = [3, 1, 3, 2, 1, 3]
    found = group(rows)
    assert len(found.starts) == 3
    assert rows[found.order]["second"].tolist() == [1, 1, 2, 3, 3, 3]
    mine, theirs = make_run(rows[:3], None), make_run(rows[3:4], None)
    result = reconcile(Serial(), [mine], [theirs])
    assert (result.store_keys, result.duplicate.count, result.missing.count) == (2, 1, 1)


def test_slices_are_all_of_a_run_once(tmp_path: Path) -> None:
    rows = [(f"k{n}", "h") for n in range(10_000)]
    run = make_run(records(rows), tmp_path / "run")
    for size in (1, 700, 10_000, 10**9):
        parts = slices([run], size)
        assert (parts[0][0], parts[-1][1]) == (0, 4096)
        assert sum(len(run.read(*part, ROW)) for part in parts) == 10_000


def test_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kitestring.observe.reconcile._ALONE", 0)
    store: list[Row] = [(f"k{n}", "h") for n in range(3, 5000)]
    ledger: list[Row] = [(f"k{n}", "h" if n % 100 else "other") for n in range(4990)]
    runs: list[Run] = [make_run(records(store), tmp_path / "store")]
    theirs = [make_run(records(ledger), tmp_path / "ledger")]
    with open_executor("pool", workers=2) as pool:
        found = reconcile(pool, runs, theirs, slice_rows=1000)
    assert found == reconcile(Serial(), runs, theirs, slice_rows=1000)
    assert (found.missing.count, found.orphan.count, found.stale.count) == (3, 10, 49)

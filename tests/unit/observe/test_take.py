"""Rows taken from batches: those that outlived their TTL, and where a row was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kitestring.observe import take
from kitestring.observe.records import PASSAGE, ROW
from kitestring.observe.take import Columns, Tap
from kitestring.segments.columns import TIMESTAMP

COLUMNS = Columns("id", "hash", None, None, "at")


def batch(first: int, last: int) -> pa.RecordBatch:
    numbers = range(first, last)
    return pa.record_batch(
        {
            "id": pa.array([f"k{n}" for n in numbers]),
            "hash": pa.array([None if n % 5 == 0 else f"h{n}" for n in numbers], pa.string()),
            "at": pa.array([7 for _ in numbers], pa.int64()),
            TIMESTAMP.name: pa.array([n << 18 for n in numbers], pa.int64()),
        }
    )


def test_rows_that_outlived_their_time_are_left_out_and_places_stay() -> None:
    tap = Tap(COLUMNS, 3, None, oldest=4 << 18)
    tap.add(batch(0, 6))
    tap.add(batch(6, 6))
    tap.add(batch(6, 9))
    taken = tap.finish()
    assert (taken.rows, taken.hidden) == (5, 4)
    (run,) = taken.runs
    rows = run.read(0, 4096, ROW)
    assert sorted(rows["position"].tolist()) == [4, 5, 6, 7, 8]
    assert sorted(rows["at"].tolist()) == [4, 5, 6, 7, 8]  # as the server says, not the row
    assert set(rows["part"].tolist()) == {3}
    (passages,) = taken.passages
    assert sorted(passages.read(0, 4096, PASSAGE)["position"].tolist()) == [4, 6, 7, 8]


def test_a_large_part_is_written_in_several_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(take, "_HELD", 10)
    tap = Tap(COLUMNS, 0, tmp_path)
    for start in range(0, 25, 5):
        tap.add(batch(start, start + 5))
    taken = tap.finish()
    assert [run.rows for run in taken.runs] == [10, 10, 5]
    assert len(list(tmp_path.iterdir())) == 6
    for run in taken.runs:
        first = run.read(0, 4096, ROW)["first"]
        assert (np.diff(first.astype(object)) >= 0).all()

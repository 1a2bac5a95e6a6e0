"""Rows as records of a fixed width, in sorted runs on disk.

A run is the records of some rows, in the order of their first eight bytes. Hashes are spread
evenly, so the same slice of every run can be read, compared and forgotten, one after the other
or side by side: an external merge sort, of which only a slice is ever in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]

ROW = np.dtype(
    [
        ("first", "<u8"),  # the hash of the key
        ("second", "<u8"),
        ("content", "<u8"),  # the hash of the content hash; 0, 0: there is none
        ("content2", "<u8"),
        ("at", "<i8"),  # when it was written, ms since the epoch; `UNKNOWN`
        ("part", "<u4"),  # where the row was read
        ("position", "<u4"),
    ]
)
PASSAGE = np.dtype(
    [
        ("first", "<u8"),  # the hash of tenant and content
        ("second", "<u8"),
        ("key", "<u8"),  # the first half of the key's hash
        ("part", "<u4"),
        ("position", "<u4"),
    ]
)
UNKNOWN = -1
BUCKETS = 4096  # slices of a run that can be read apart
_SHIFT = np.uint64(64 - 12)


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted records: in a file, or here where the file would not be seen."""

    rows: int
    bounds: tuple[int, ...]  # where each bucket begins, and the end
    file: Path | None = None
    records: Records | None = field(default=None, repr=False)

    def read(self, begin: int, end: int, kind: np.dtype[Any]) -> Records:
        """The records of the buckets from `begin` up to `end`."""
        low, high = self.bounds[begin], self.bounds[end]
        if self.records is not None:
            return self.records[low:high]
        if self.file is None or low == high:
            return np.empty(0, kind)
        size = kind.itemsize
        return np.fromfile(self.file, kind, high - low, offset=low * size)


def make_run(records: Records, file: Path | None) -> Run:
    """Sorts records into a run; a file that is there is replaced."""
    records = records[np.argsort(records["first"])]
    buckets = (records["first"] >> _SHIFT).astype(np.int64)
    bounds = np.searchsorted(buckets, np.arange(BUCKETS + 1))
    limits = tuple(int(bound) for bound in bounds)
    if file is None:
        return Run(len(records), limits, records=records)
    records.tofile(file)
    return Run(len(records), limits, file)


def on_disk(run: Run, file: Path) -> Run:
    """The run with its records in a file."""
    if run.records is None:
        return run
    run.records.tofile(file)
    return Run(run.rows, run.bounds, file)


def slices(runs: Sequence[Run], rows: int) -> list[tuple[int, int]]:
    """Ranges of buckets that hold some `rows` records each, together all of the runs'."""
    total = sum(run.rows for run in runs)
    count = max(1, min(BUCKETS, -(-total // max(1, rows))))
    edges = [BUCKETS * number // count for number in range(count + 1)]
    return list(pairwise(edges))


def read_slice(runs: Sequence[Run], begin: int, end: int, kind: np.dtype[Any]) -> Records:
    """The records of all runs in a range of buckets."""
    found = [run.read(begin, end, kind) for run in runs]
    return np.concatenate(found) if found else np.empty(0, kind)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Records in an order in which equal hashes stand together, and where each group begins."""

    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]  # of each record, in that order


def group(records: Records) -> Grouped:
    """Groups records by their hash."""
    first, second = records["first"], records["second"]
    order = np.argsort(first, kind="stable")
    same = first[order][1:] == first[order][:-1]
    if (same & (second[order][1:] != second[order][:-1])).any():  # halves that are equal by chance
        order = np.lexsort((second, first))
        same = first[order][1:] == first[order][:-1]
        same &= second[order][1:] == second[order][:-1]
    begins = np.concatenate([np.ones(min(1, len(records)), bool), ~same])
    return Grouped(order, np.flatnonzero(begins), np.cumsum(begins) - 1)

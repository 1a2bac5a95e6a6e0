"""Segments that a flush did not name, but that hold rows of before its timestamp.

A write that is under way while the flush begins may have its timestamp already and get its
segment only after the flush has sealed the others. An upsert of that kind deletes its old row
with that same timestamp: to leave its new row out would lose the key. The flush does not end
before such rows are on disk, so they are found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kitestring.clients.store.protocol import ObjectReader
from kitestring.segments.layout import SegmentFiles
from kitestring.segments.reader import ROW_ID_FIELD, TIMESTAMP_FIELD, SegmentRef, system_column


@dataclass(frozen=True, slots=True)
class Placed:
    """A segment and its objects."""

    ref: SegmentRef
    files: SegmentFiles


def late_segments(
    store: ObjectReader, named: Sequence[Placed], others: Iterable[Placed], until: int
) -> list[Placed]:
    """Those of `others` that hold rows up to `until` which no segment in `named` has.

    Args:
        others: segments that have come since just before the flush. What compaction has made of
            named ones is among them and is told by its row ids, which compaction keeps.
        until: a timestamp of Milvus (ms since the epoch << 18).

    Returns:
        The segments, with those logs only that hold such rows: a later one may be incomplete.

    Raises:
        SegmentUnreadable, ObjectMissing.
    """
    late: list[Placed] = []
    for other in sorted(others, key=lambda p: p.ref.segment):
        logs = _logs_until(store, other, until)
        if not logs:
            continue
        head = Placed(other.ref, other.files.first(logs))
        ids = _row_ids(store, head)
        if not any(np.isin(_row_ids(store, p), ids).any() for p in (*named, *late)):
            late.append(head)
    return late


def _logs_until(store: ObjectReader, placed: Placed, until: int) -> int:
    """How many of its logs, from the first on, hold a row up to `until`."""
    found = 0
    for position in range(placed.files.logs):
        times = system_column(store, placed.files, TIMESTAMP_FIELD, position, placed.ref)
        if times.min() <= until:
            found = position + 1
    return found


def _row_ids(store: ObjectReader, placed: Placed) -> npt.NDArray[np.int64]:
    count = placed.files.logs
    logs = [
        system_column(store, placed.files, ROW_ID_FIELD, position, placed.ref)
        for position in range(count)
    ]
    return np.concatenate(logs) if logs else np.empty(0, np.int64)

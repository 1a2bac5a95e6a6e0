"""What storage v1 and v2 have in common: a segment is a row of chunks.

Each sync or compaction writes one log for each field (v1) or column group (v2), and those logs
hold the same rows. So the n-th logs belong together. A field that was added to the collection
(2.6) has logs from some chunk on only: its last log belongs to the last chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pyarrow as pa

from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field
from kitestring.segments.layout import SegmentRef, log_id

Logs = Mapping[int, Sequence[str]]
"""Keys of insert logs by field id (v1) or column group (v2), each in the order of their ids."""

Columns = dict[str, pa.Array]
"""Columns of the same rows, by the names of their fields."""


def aligned(logs: Logs, ref: SegmentRef) -> list[dict[int, str]]:
    """The logs of each chunk.

    Raises:
        SegmentUnreadable: the logs can't be put together, because one is missing.
    """
    count = max(map(len, logs.values()), default=0)
    chunks: list[dict[int, str]] = [{} for _ in range(count)]
    for number, keys in logs.items():
        for position, key in enumerate(keys, start=count - len(keys)):
            chunks[position][number] = key
    if any(len(keys) < count for keys in logs.values()):
        ids = [sorted(map(log_id, chunk.values())) for chunk in chunks]
        # ids are given chunk by chunk: a log that is missing leaves others in a wrong one
        if any(earlier[-1] >= later[0] for earlier, later in pairwise(ids)):
            raise incomplete(logs, ref)
    return chunks


def incomplete(logs: Logs, ref: SegmentRef) -> SegmentUnreadable:
    """The error of a segment whose logs are not all there."""
    counts = ", ".join(f"{number}: {len(keys)}" for number, keys in sorted(logs.items()))
    return SegmentUnreadable(
        f"the segment {ref} does not have the same number of logs of each field ({counts})",
        hint="a log is missing: was it removed while it was copied?",
        subject=str(ref),
    )


def same_rows(columns: Columns, ref: SegmentRef) -> int:
    """The number of rows that all columns have.

    Raises:
        SegmentUnreadable: they differ.
    """
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        counts = ", ".join(f"{name}: {len(column)}" for name, column in columns.items())
        raise SegmentUnreadable(
            f"the logs of the segment {ref} do not hold the same rows ({counts})",
            subject=str(ref),
        )
    return lengths.pop()


def missing_field(field: Field, ref: SegmentRef) -> SegmentUnreadable:
    """The error of a segment without a field that every row has to have."""
    return SegmentUnreadable(
        f"the segment {ref} has no logs of the field `{field.name}`, or not enough",
        hint="a log is missing, or the field came after the segment was written",
        subject=str(ref),
    )


def unknown_fields(numbers: Sequence[int], ref: SegmentRef) -> SegmentUnreadable:
    """The error of a segment that holds more than the schema names."""
    listed = ", ".join(map(str, numbers))
    return SegmentUnreadable(
        f"the segment {ref} has logs of the fields {listed}, which the schema does not name",
        hint="the collection has fields of a kind that is not known; read over the API",
        subject=str(ref),
    )

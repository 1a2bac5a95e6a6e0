"""Which rows of a segment its delta logs delete."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.segments.binlog import DELETE, read_column

COLUMNS = ("delta", "val")  # 2.4 and later, 2.3
Deletes = dict[str | int, int]  # key -> timestamp of its newest delete


def read_deletes(store: ObjectReader, keys: Iterable[str], until: int | None = None) -> Deletes:
    """The deletes of delta logs. Timestamps are Milvus's: ms since the epoch << 18.

    Args:
        until: deletes after this timestamp are left out.

    Raises:
        SegmentUnreadable, ObjectMissing.
    """
    found: Deletes = {}
    for key in keys:
        for pk, ts in parse_deletes(store.get(key), key):
            if (until is None or ts <= until) and ts > found.get(pk, -1):
                found[pk] = ts
    return found


def parse_deletes(data: bytes, name: str) -> list[tuple[str | int, int]]:
    """Primary key and timestamp of each delete of a delta log (also of an L0 segment's).

    Raises:
        SegmentUnreadable: the file is not of a form that this reader knows.
    """
    _, values = read_column(data, COLUMNS, event=DELETE, name=name)
    found: list[tuple[str | int, int]] = []
    for text in values.to_pylist():
        try:
            entry = json.loads(text)
            pk, ts = entry["pk"], int(entry["ts"])
            if not isinstance(pk, str | int) or isinstance(pk, bool):
                raise TypeError(f"`pk` is {pk!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise SegmentUnreadable(
                f"the delta log {name} can't be read: {error}", subject=name
            ) from None
        found.append((pk, ts))
    return found


def surviving(keys: pa.Array, timestamps: pa.Array, deletes: Deletes) -> pa.Array | None:
    """A mask of the rows that are not deleted; None when all survive.

    A delete takes the rows of its key that are older than itself: an upsert writes its delete
    with the timestamp of its new row, which stays.
    """
    if not deletes:
        return None
    names = pa.array(list(deletes), keys.type)
    times = np.fromiter(deletes.values(), np.int64, len(deletes))
    hits = pc.index_in(keys, value_set=names)
    rows = np.flatnonzero(np.asarray(hits.is_valid()))
    if not len(rows):
        return None
    newest = times[hits.drop_null().to_numpy()]
    written = timestamps.to_numpy(zero_copy_only=False)
    mask = np.ones(len(keys), dtype=bool)
    mask[rows] = newest <= written[rows]
    return pa.array(mask)

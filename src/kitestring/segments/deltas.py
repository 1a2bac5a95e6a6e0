"""Which rows of a segment its delta logs delete.

Three forms of the rows of a delta log (milvus-io/milvus, `internal/storage/delta_data.go`,
`serde_delta.go`), all told apart by the file itself:

- a column of JSON texts `{"pk": …, "ts": …, "pkType": 5 or 21}`, named `val` (2.3) or `delta`;
- in such a column, of the oldest servers: `<pk>,<ts>`, for INT64 keys only;
- two columns `pk` and `ts`, in the container of storage v1 or as a bare Parquet file.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from kitestring.clients.store.protocol import Data, ObjectReader
from kitestring.segments.binlog import (
    DELETE,
    PARQUET,
    PARQUET_ERRORS,
    first_line,
    one_array,
    parse_binlog,
    read_payloads,
    unreadable,
)
from kitestring.segments.columns import PAYLOAD_TYPES

COLUMNS = ("delta", "val")  # 2.4 and later, 2.3
_TYPES = {PAYLOAD_TYPES["INT64"]: pa.int64(), PAYLOAD_TYPES["VARCHAR"]: pa.string()}
_NEWEST = np.iinfo(np.int64).max
_CACHED = 2_000_000  # deletes that `DeltaLogs` keeps at most


@dataclass(frozen=True, slots=True)
class Deletes:
    """Keys and the timestamps of their deletes (ms since the epoch << 18), of the same length."""

    keys: pa.Array  # int64 or string
    times: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)

    def newest(self, until: int | None) -> Deletes:
        """The last delete of each key, of those up to `until`."""
        table = pa.table({"key": self.keys, "time": self.times})
        if until is not None:
            table = table.filter(pc.less_equal(table["time"], until))
        last = table.group_by("key").aggregate([("time", "max")])
        return Deletes(last["key"].combine_chunks(), last["time_max"].to_numpy())


class DeltaLogs:
    """Delta logs of a store, decoded; an L0 segment's are needed for many segments.

    It keeps the ones used last, up to 2 million deletes. For one thread.
    """

    def __init__(self, store: ObjectReader) -> None:
        self._store = store
        self._kept: OrderedDict[str, Deletes] = OrderedDict()

    def get(self, key: str) -> Deletes:
        """Raises: SegmentUnreadable, ObjectMissing."""
        found = self._kept.pop(key, None)
        if found is None:
            found = decode(self._store.get(key), key)
        self._kept[key] = found
        while sum(map(len, self._kept.values())) > _CACHED and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return found

    def read(self, keys: Iterable[str], kind: pa.DataType, until: int | None) -> Deletes | None:
        """The deletes of several logs; None where there are none.

        Args:
            kind: the Arrow type of the collection's primary key.
            until: deletes after this timestamp are left out.

        Raises:
            SegmentUnreadable: see `decode`; or a log's keys are of another type.
        """
        logs = []
        for key in keys:
            log = self.get(key)
            if log.keys.type != kind:
                raise unreadable(key, f"it deletes keys of type {log.keys.type}, not {kind}")
            logs.append(log)
        if not logs:
            return None
        together = Deletes(
            pa.concat_arrays([log.keys for log in logs]),
            np.concatenate([log.times for log in logs]),
        ).newest(until)
        return together if len(together) else None


class DeltaLogsByThread:
    """The `DeltaLogs` of each thread that asks."""

    def __init__(self, store: ObjectReader) -> None:
        self._store, self._local = store, threading.local()

    def mine(self) -> DeltaLogs:
        if not hasattr(self._local, "logs"):
            self._local.logs = DeltaLogs(self._store)
        logs: DeltaLogs = self._local.logs
        return logs


def parse_deletes(data: Data, name: str) -> list[tuple[str | int, int]]:
    """Primary key and timestamp of each delete of a delta log (also of an L0 segment's).

    Raises:
        SegmentUnreadable: the file is not of a form that this reader knows.
    """
    found = decode(data, name)
    return list(zip(found.keys.to_pylist(), found.times.tolist(), strict=True))


def decode(data: Data, name: str) -> Deletes:
    """Each delete of a delta log, in its order.

    Raises:
        SegmentUnreadable: the file is not of a form that this reader knows.
    """
    table = _bare(data, name) if data[:4] == PARQUET else _contained(data, name)
    if table.schema.names == ["pk", "ts"]:
        return _columns(table, name)
    if table.num_columns != 1 or table.schema.names[0] not in COLUMNS:
        listed = ", ".join(table.schema.names)
        raise unreadable(name, f"its payload has the columns {listed}, not `pk` and `ts`")
    texts = one_array(table.column(0), name)
    if texts.type != pa.string() or texts.null_count:
        raise unreadable(name, f"it holds {texts.type}, or nulls, not the text of deletes")
    found = _fast(texts)
    return found if found is not None else _texts(texts, name)


def _contained(data: Data, name: str) -> pa.Table:
    return read_payloads(parse_binlog(data, event=DELETE, name=name), name)


def _bare(data: Data, name: str) -> pa.Table:
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        table.validate(full=True)
        _ = table.schema.names
    except PARQUET_ERRORS as error:
        raise unreadable(name, f"it is no whole Parquet file: {first_line(error)}") from None
    return table


def _columns(table: pa.Table, name: str) -> Deletes:
    keys, times = (one_array(table.column(i), name) for i in (0, 1))
    if keys.type not in _TYPES.values() or times.type not in (pa.int64(), pa.uint64()):
        raise unreadable(name, f"its keys are {keys.type} and its timestamps {times.type}")
    if keys.null_count or times.null_count:
        raise unreadable(name, "it has deletes without key or timestamp")
    return Deletes(keys, _timestamps(times.to_numpy(), name))


def _timestamps(values: npt.NDArray[np.generic], name: str) -> npt.NDArray[np.int64]:
    found = np.asarray(values)
    if len(found) and (found.min() < 0 or found.max() > _NEWEST):
        raise unreadable(name, "it has a timestamp that is none")
    return found.astype(np.int64)


def _fast(texts: pa.Array) -> Deletes | None:
    """JSON texts decoded all at once; None where that shows anything unusual."""
    lines = "\n".join(texts.to_pylist()).encode()
    for number, kind in _TYPES.items():
        shape = pa.schema([("pk", kind), ("ts", pa.int64()), ("pkType", pa.int64())])
        options = pj.ParseOptions(explicit_schema=shape, unexpected_field_behavior="error")
        try:
            table = pj.read_json(
                BytesIO(lines), pj.ReadOptions(use_threads=False), options
            ).combine_chunks()
        except (pa.ArrowException, ValueError):
            continue
        usual = pc.all(pc.equal(table["pkType"], number), min_count=0).as_py()
        if (
            not usual
            or table.num_rows != len(texts)
            or any(column.null_count for column in table.columns)
            or pc.min(table["ts"]).as_py() < 0
        ):
            return None
        return Deletes(table["pk"].combine_chunks(), table["ts"].to_numpy())
    return None


def _texts(texts: pa.Array, name: str) -> Deletes:
    keys: list[str | int] = []
    times: list[int] = []
    for text in texts.to_pylist():
        try:
            key, time = _json(text) if text.lstrip().startswith("{") else _pair(text)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise unreadable(name, f"`{text[:80]}` is no delete ({error})") from None
        keys.append(key)
        times.append(time)
    try:
        kind = pa.string() if keys and isinstance(keys[0], str) else pa.int64()
        return Deletes(pa.array(keys, kind), _timestamps(np.array(times, np.uint64), name))
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise unreadable(name, f"its keys are of several types: {first_line(error)}") from None


def _json(text: str) -> tuple[str | int, int]:
    entry = json.loads(text)
    key, time = entry["pk"], entry["ts"]
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise TypeError(f"`pk` is {key!r}")
    if isinstance(time, bool) or not isinstance(time, int):
        raise TypeError(f"`ts` is {time!r}")
    named = entry.get("pkType")
    if named is not None and named != PAYLOAD_TYPES["VARCHAR" if isinstance(key, str) else "INT64"]:
        raise ValueError(f"`pkType` is {named!r}")
    return key, time


def _pair(text: str) -> tuple[int, int]:
    key, time = text.split(",")
    return int(key), int(time)


def surviving(
    keys: pa.Array, timestamps: pa.Array, deletes: Deletes | None
) -> npt.NDArray[np.bool_] | None:
    """A mask of the rows that are not deleted; None when all survive.

    A delete takes the rows of its key that are older than itself: an upsert writes its delete
    with the timestamp of its new row, which stays.

    Args:
        deletes: one of a key, the newest.
    """
    if deletes is None:
        return None
    hits = pc.index_in(keys, value_set=deletes.keys)
    rows = np.flatnonzero(np.asarray(hits.is_valid()))
    if not len(rows):
        return None
    newest = deletes.times[hits.drop_null().to_numpy()]
    written = timestamps.to_numpy(zero_copy_only=False)
    mask = np.ones(len(keys), dtype=bool)
    mask[rows] = newest <= written[rows]
    return None if mask.all() else mask

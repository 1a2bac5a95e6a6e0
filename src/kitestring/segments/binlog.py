"""The container of Milvus's storage v1: events behind a magic number, each payload a Parquet file.

Layout, all numbers little-endian (milvus-io/milvus, `internal/storage/event_*.go`, seen in files
that servers of 2.3 and 2.4 wrote):

- int32 0xfffabc;
- events, each a 17-byte header (timestamp int64, type int8, length int32, next position int32,
  -1 or the end of the file for the last) and its data;
- the first is the descriptor: collection, partition, segment and field id (int64 each), start and
  end timestamp (uint64), payload type (int32), 8 post-header lengths, the length of a JSON text
  (int32) and the text;
- an insert event (1) or delete event (2) has start and end timestamp (16 bytes), then Parquet.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.errors import SegmentUnreadable

MAGIC = 0xFFFABC
DESCRIPTOR, INSERT, DELETE = 0, 1, 2
_HEADER = struct.Struct("<qbii")
_DESCRIPTOR = struct.Struct("<qqqqQQi")
_POST_HEADERS = 8
_SPAN = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a file says of itself. Timestamps are Milvus's: ms since the epoch << 18."""

    collection: int
    partition: int
    segment: int
    field: int  # -1 for a delta log
    start: int
    end: int
    payload_type: int
    extras: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Binlog:
    """A file's descriptor and the Parquet payloads of its events."""

    descriptor: Descriptor
    payloads: tuple[memoryview, ...]


def parse_binlog(data: bytes, *, event: int, name: str) -> Binlog:
    """The parts of a file, without decoding its payloads.

    Args:
        event: the type that every event after the descriptor has to have.
        name: what errors call the file.

    Raises:
        SegmentUnreadable: the file is cut short, changed, or of a form that is not known.
    """
    if len(data) < 4 + _HEADER.size or struct.unpack_from("<i", data)[0] != MAGIC:
        if data[:4] == b"PAR1":
            raise _unreadable(name, "it is of storage v2, which this reader does not know yet")
        raise _unreadable(name, "it does not begin with the magic number of a binlog")
    view = memoryview(data)
    position = 4
    descriptor: Descriptor | None = None
    payloads = []
    while position < len(data):
        if position + _HEADER.size > len(data):
            raise _unreadable(name, f"the event at byte {position} is cut short")
        _, kind, length, following = _HEADER.unpack_from(data, position)
        end = position + length
        if length < _HEADER.size or end > len(data):
            raise _unreadable(name, f"the event at byte {position} is cut short")
        if following != end and not (following == -1 and end == len(data)):
            raise _unreadable(name, f"the event at byte {position} has a wrong next position")
        body = view[position + _HEADER.size : end]
        if descriptor is None:
            if kind != DESCRIPTOR:
                raise _unreadable(name, "its first event is no descriptor")
            descriptor = _descriptor(body, name)
        elif kind != event:
            raise _unreadable(name, f"it has an event of type {kind} where {event} was expected")
        elif len(body) < _SPAN.size:
            raise _unreadable(name, f"the event at byte {position} is cut short")
        else:
            payloads.append(body[_SPAN.size :])
        position = end
    if descriptor is None or not payloads:
        raise _unreadable(name, "it has no rows")
    return Binlog(descriptor, tuple(payloads))


def _descriptor(body: memoryview, name: str) -> Descriptor:
    fixed = _DESCRIPTOR.size + _POST_HEADERS
    try:
        collection, partition, segment, field, start, end, kind = _DESCRIPTOR.unpack_from(body)
        (length,) = struct.unpack_from("<i", body, fixed)
        text = bytes(body[fixed + 4 :])
        if length != len(text):
            raise ValueError("its length is wrong")
        extras = json.loads(text)
        if not isinstance(extras, dict):
            raise ValueError("it is no JSON object")
    except (struct.error, ValueError) as error:
        raise _unreadable(name, f"its descriptor can't be read: {error}") from None
    return Descriptor(collection, partition, segment, field, start, end, kind, extras)


def read_column(
    data: bytes, column: tuple[str, ...], *, event: int, name: str
) -> tuple[Descriptor, pa.Array]:
    """The descriptor of a file and all its values, as Arrow reads them from Parquet.

    Args:
        column: names that the one column of the payload may have.

    Raises:
        SegmentUnreadable: see `parse_binlog`; or the payload is no Parquet file of that column.
    """
    log = parse_binlog(data, event=event, name=name)
    chunks: list[pa.Array] = []
    for payload in log.payloads:
        try:
            table = pq.read_table(pa.BufferReader(pa.py_buffer(payload)), use_threads=False)
            # a flipped bit may leave a name or a value that is no UTF-8
            found = table.schema.names
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise _unreadable(name, f"its payload can't be read: {first}") from None
        if len(found) != 1 or found[0] not in column:
            listed = ", ".join(found)
            raise _unreadable(name, f"its payload has the columns {listed}, not `{column[0]}`")
        chunks.extend(table.column(0).chunks)
    if not chunks:
        raise _unreadable(name, "its payload has no rows")
    return log.descriptor, pa.concat_arrays(chunks) if len(chunks) > 1 else chunks[0]


def _unreadable(name: str, why: str) -> SegmentUnreadable:
    return SegmentUnreadable(
        f"the segment file {name} can't be read: {why}",
        hint="if the server's version is not in the compatibility table, read over the API",
        subject=name,
    )

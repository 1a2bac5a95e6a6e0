"""The container of Milvus's storage v1: events behind a magic number, each payload a Parquet file.

Layout, all numbers little-endian (milvus-io/milvus, `internal/storage/event_*.go` and
`serde_events.go`, seen in files that servers of 2.3 and 2.4 wrote):

- int32 0xfffabc;
- events, each a 17-byte header (timestamp int64, type int8, length int32, next position int32;
  2.4 and later write -1 for the last) and its data;
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

from kitestring.clients.store.protocol import Data
from kitestring.errors import SegmentUnreadable

MAGIC = 0xFFFABC
PARQUET = b"PAR1"
PARQUET_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError)
DESCRIPTOR, INSERT, DELETE = 0, 1, 2
_HEADER = struct.Struct("<qbii")
_DESCRIPTOR = struct.Struct("<qqqqQQi")
_POST_HEADERS = 8
_SPAN = struct.Struct("<QQ")
_ENCRYPTED = "edek"  # the key of a descriptor's JSON that holds an encrypted data key


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


def is_binlog(data: Data) -> bool:
    """Whether a file begins as one of storage v1 does."""
    return len(data) >= 4 and struct.unpack_from("<i", data)[0] == MAGIC


def parse_binlog(data: Data, *, event: int, name: str) -> Binlog:
    """The parts of a file, without decoding its payloads.

    Args:
        event: the type that every event after the descriptor has to have.
        name: what errors call the file.

    Raises:
        SegmentUnreadable: the file is cut short, changed, encrypted, or of a form that is not
            known.
    """
    if not is_binlog(data):
        if data[:4] == PARQUET:
            raise unreadable(name, "it is of storage v2 where others of its segment are of v1")
        raise unreadable(name, "it does not begin with the magic number of a binlog")
    view = memoryview(data)
    position = 4
    descriptor: Descriptor | None = None
    payloads = []
    while position < len(data):
        if position + _HEADER.size > len(data):
            raise unreadable(name, f"the event at byte {position} is cut short")
        _, kind, length, following = _HEADER.unpack_from(data, position)
        end = position + length
        if length < _HEADER.size or end > len(data):
            raise unreadable(name, f"the event at byte {position} is cut short")
        if following != end and not (following == -1 and end == len(data)):
            raise unreadable(name, f"the event at byte {position} has a wrong next position")
        body = view[position + _HEADER.size : end]
        if descriptor is None:
            if kind != DESCRIPTOR:
                raise unreadable(name, "its first event is no descriptor")
            descriptor = _descriptor(body, name)
            if _ENCRYPTED in descriptor.extras:
                raise unreadable(name, "it is encrypted")
        elif kind != event:
            raise unreadable(name, f"it has an event of type {kind} where {event} was expected")
        elif len(body) < _SPAN.size:
            raise unreadable(name, f"the event at byte {position} is cut short")
        else:
            payloads.append(body[_SPAN.size :])
        position = end
    if descriptor is None or not payloads:
        raise unreadable(name, "it has no rows")
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
        raise unreadable(name, f"its descriptor can't be read: {error}") from None
    return Descriptor(collection, partition, segment, field, start, end, kind, extras)


def open_column(
    data: Data, column: tuple[str, ...], *, event: int, name: str
) -> tuple[Descriptor, list[pq.ParquetFile]]:
    """The descriptor of a file, and the Parquet files in it, of which no value is decoded yet.

    Args:
        column: names that the one column of the payload may have.

    Raises:
        SegmentUnreadable: see `parse_binlog`; or a payload is no Parquet file of that column.
    """
    log = parse_binlog(data, event=event, name=name)
    files = [_opened(payload, name) for payload in log.payloads]
    for file in files:
        names = file.schema_arrow.names
        if len(names) != 1 or names[0] not in column:
            listed = ", ".join(names)
            raise unreadable(name, f"its payload has the columns {listed}, not `{column[0]}`")
    return log.descriptor, files


def read_payloads(log: Binlog, name: str) -> pa.Table:
    """The payloads of all events of a file, one after the other.

    Raises:
        SegmentUnreadable: they are no Parquet files, or not of the same columns.
    """
    tables = [_payload(payload, name) for payload in log.payloads]
    if any(table.schema.names != tables[0].schema.names for table in tables):
        raise unreadable(name, "its events have different columns")
    try:
        return pa.concat_tables(tables) if len(tables) > 1 else tables[0]
    except pa.ArrowException as error:
        raise unreadable(name, f"its events do not go together: {first_line(error)}") from None


def _payload(payload: memoryview, name: str) -> pa.Table:
    file = _opened(payload, name)
    try:
        table = file.read(use_threads=False)
        table.validate(full=True)  # a flipped bit may leave a value that is no UTF-8
    except PARQUET_ERRORS as error:
        raise unreadable(name, f"its payload can't be read: {first_line(error)}") from None
    if table.num_rows != file.metadata.num_rows:
        raise unreadable(name, "its payload does not hold the rows that it says it has")
    return table


def _opened(payload: memoryview, name: str) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(payload)), pre_buffer=False)
        names = file.schema_arrow.names  # a flipped bit may leave one that is no UTF-8
    except PARQUET_ERRORS as error:
        raise unreadable(name, f"its payload can't be read: {first_line(error)}") from None
    if not names:
        raise unreadable(name, "its payload does not hold the rows that it says it has")
    return file


def one_array(column: pa.ChunkedArray, name: str) -> pa.Array:
    """A column without its chunks.

    Raises:
        SegmentUnreadable: it has no values, or more than one array can hold (2 GiB of text).
    """
    if column.num_chunks == 0:
        raise unreadable(name, "its payload has no rows")
    if column.num_chunks == 1:
        return column.chunk(0)
    try:
        return pa.concat_arrays(column.chunks)
    except pa.ArrowException as error:
        raise unreadable(name, f"its payload can't be read: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


def unreadable(name: str, why: str, hint: str = "") -> SegmentUnreadable:
    """The error of a file that is not understood."""
    return SegmentUnreadable(
        f"the segment file {name} can't be read: {why}",
        hint=hint or "if the server's version is not in the compatibility table, read over the API",
        subject=name,
    )

"""Segments of storage v1 (2.3 to 2.5): a file for each field of each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import INSERT, one_array, open_column
from kitestring.segments.chunks import (
    Columns,
    Logs,
    aligned,
    missing_field,
    same_rows,
    unknown_fields,
)
from kitestring.segments.columns import (
    FIRST_USER_FIELD,
    PAYLOAD_TYPES,
    TIMESTAMP,
    TIMESTAMP_FIELD,
    dynamic_field,
    dynamic_id,
    filler,
    optional,
    to_field,
)
from kitestring.segments.layout import SegmentRef
from kitestring.segments.slices import Slices

_THREADS = 4  # logs without vectors that are fetched and decoded at a time
_PIECE = 2 * 1024 * 1024  # bytes of values in a batch, where a log holds more
_LEAST = 64  # rows in a batch


def probe(logs: Logs, schema: Schema | None) -> str | None:
    """A log that tells by its first bytes whether a segment is of v1; None where it can't be.

    Every segment of v1 has timestamps and keys apart. A column group of v2 may have the number of
    a field, so that there are such logs does not prove it.
    """
    key = TIMESTAMP_FIELD if schema is None else schema.primary.field_id
    if key is None or not logs.get(TIMESTAMP_FIELD) or not logs.get(key):
        return None
    return logs[key][0]


class _Log:
    """A log that is too large to be decoded at once."""

    def __init__(self, slices: Slices, size: int, field: Field, key: str) -> None:
        self._slices, self.bytes = slices, size
        self._field, self._key = field, key
        self.end = slices.end

    def __len__(self) -> int:
        return self._slices.rows

    def take(self, rows: int) -> pa.Array:
        """The next rows of it. Raises: SegmentUnreadable."""
        values = self._slices.take(rows).column(0)
        return to_field(one_array(values, self._key), self._field, self._key)


_Found: TypeAlias = pa.Array | _Log


class _Threads:
    """Fetches logs, and decodes those that are not large; several at a time.

    Vectors, which are most of the bytes, have one thread for themselves: the allocator keeps the
    memory of a large file for the thread that has used it, so each thread more costs that much.
    """

    def __init__(self, read: Callable[[str, Field], _Found], fields: int) -> None:
        self._read = read
        self._small = ThreadPoolExecutor(max(1, min(_THREADS, fields)), "columns")
        self._large = ThreadPoolExecutor(1, "vectors")

    def __enter__(self) -> _Threads:
        return self

    def submit(self, key: str, field: Field) -> Future[_Found]:
        return (self._large if field.is_vector else self._small).submit(self._read, key, field)

    def __exit__(self, *_: object) -> None:
        for threads in (self._small, self._large):
            threads.shutdown(wait=True, cancel_futures=True)


class SegmentV1:
    """The insert logs of one segment.

    Args:
        schema: None where only system fields are read.

    Raises:
        SegmentUnreadable: the segment has logs of fields that the schema does not name.
    """

    def __init__(
        self, store: ObjectReader, logs: Logs, schema: Schema | None, ref: SegmentRef
    ) -> None:
        self._store, self._ref = store, ref
        self._chunks = aligned(logs, ref)
        self._dynamic: int | None = None
        if schema is not None:
            self._dynamic = dynamic_id(schema, set(logs))
            self._check(schema, set(logs))

    def _check(self, schema: Schema, found: set[int]) -> None:
        known = {field.field_id for field in schema.fields} | {self._dynamic}
        strange = sorted(i for i in found if i >= FIRST_USER_FIELD and i not in known)
        if strange:
            raise unknown_fields(strange, self._ref)

    def read(self, fields: Sequence[Field], *, ahead: bool = True) -> Iterator[Columns]:
        """The columns of the fields: a chunk at a time, or of large ones some MiB.

        Args:
            ahead: fetch the logs of a chunk while the one before it is used. With several
                segments at work that is memory for little.

        Raises:
            SegmentUnreadable, ObjectMissing.
        """
        fields = [self._named(field) for field in fields]
        with _Threads(self._fetch, len(fields)) as threads:
            waiting = self._submit(threads, 0, fields)
            for position in range(len(self._chunks)):
                found = {name: future.result() for name, future in waiting.items() if future}
                waiting = {}  # a future keeps its log in memory
                more = position + 1 < len(self._chunks)
                if more and ahead:
                    waiting = self._submit(threads, position + 1, fields)
                yield from self._pieces(found, fields)
                found.clear()
                if more and not ahead:
                    waiting = self._submit(threads, position + 1, fields)

    def _pieces(self, found: dict[str, _Found], fields: Sequence[Field]) -> Iterator[Columns]:
        rows = same_rows(found, self._ref)
        large = [log for log in found.values() if isinstance(log, _Log)]
        size = sum(log.bytes for log in large)
        step = max(_LEAST, _PIECE * rows // size) if large else max(1, rows)
        for at in range(0, max(1, rows), step):
            count = min(step, rows - at)
            columns = {
                name: log.take(count) if isinstance(log, _Log) else log.slice(at, count)
                for name, log in found.items()
            }
            for field in fields:
                if field.name not in columns:
                    columns[field.name] = filler(field, count)
            yield {field.name: columns[field.name] for field in fields}
            del columns
        for log in large:
            log.end()

    def rows(self) -> Iterator[int]:
        """How many rows each chunk holds, deleted ones too."""
        return (len(self.column(TIMESTAMP, position)) for position in range(len(self._chunks)))

    def column(self, field: Field, position: int) -> pa.Array:
        """One column of one chunk.

        Raises:
            SegmentUnreadable: there is none; or as `read`.
        """
        key = self._chunks[position].get(self._id(field))
        if key is None:
            raise missing_field(field, self._ref)
        slices, size = self._open(key, field)
        return _whole(_Log(slices, size, field, key))

    def _named(self, field: Field) -> Field:
        return dynamic_field(self._dynamic) if field.name == DYNAMIC_FIELD else field

    def _id(self, field: Field) -> int:
        if field.field_id is None:
            raise SegmentUnreadable(
                f"the id of the field `{field.name}` is not known", subject=field.name
            )
        return field.field_id

    def _submit(
        self, threads: _Threads, position: int, fields: Sequence[Field]
    ) -> dict[str, Future[_Found] | None]:
        found: dict[str, Future[_Found] | None] = {}
        for field in fields:
            absent = field.name == DYNAMIC_FIELD and field.field_id is None
            key = None if absent else self._chunks[position].get(self._id(field))
            if key is None and not optional(field):
                raise missing_field(field, self._ref)
            found[field.name] = None if key is None else threads.submit(key, field)
        if not any(found.values()):  # all came later: something has to tell how many rows
            key = self._chunks[position][TIMESTAMP_FIELD]
            found[TIMESTAMP.name] = threads.submit(key, TIMESTAMP)
        return found

    def _fetch(self, key: str, field: Field) -> _Found:
        """The values of a log; those of a large one are still to be decoded."""
        slices, size = self._open(key, field)
        log = _Log(slices, size, field, key)
        return log if size > 2 * _PIECE else _whole(log)

    def _open(self, key: str, field: Field) -> tuple[Slices, int]:
        """A log, and how many bytes its values take decoded, about."""
        names = ("val", str(field.field_id), field.name)  # 2.3, 2.4 and later
        found, files = open_column(self._store.get(key), names, event=INSERT, name=key)
        ref = self._ref
        wanted = (ref.collection, ref.partition, ref.segment, field.field_id)
        if (found.collection, found.partition, found.segment, found.field) != wanted:
            place = (found.collection, found.partition, found.segment, found.field)
            raise SegmentUnreadable(
                f"the segment file {key} says it is of {'/'.join(map(str, place))}, "
                "not of its place",
                subject=key,
            )
        if found.payload_type != PAYLOAD_TYPES.get(field.type):
            raise SegmentUnreadable(
                f"the segment file {key} holds values of type {found.payload_type}, "
                f"but field `{field.name}` is {field.type}",
                subject=key,
            )
        groups = [file.metadata.row_group(n) for file in files for n in range(file.num_row_groups)]
        return Slices(files, key), sum(group.total_byte_size for group in groups)


def _whole(log: _Log) -> pa.Array:
    values = log.take(len(log))
    log.end()
    return values

"""Segments of storage v1 (2.3 to 2.5): a file for each field of each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import INSERT, read_column
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

_THREADS = 4  # logs without vectors that are fetched and decoded at a time


def probe(logs: Logs, schema: Schema | None) -> str | None:
    """A log that tells by its first bytes whether a segment is of v1; None where it can't be.

    Every segment of v1 has timestamps and keys apart. A column group of v2 may have the number of
    a field, so that there are such logs does not prove it.
    """
    key = TIMESTAMP_FIELD if schema is None else schema.primary.field_id
    if key is None or not logs.get(TIMESTAMP_FIELD) or not logs.get(key):
        return None
    return logs[key][0]


class _Threads:
    """Fetches and decodes logs, several at a time.

    Vectors, which are most of the bytes, have one thread for themselves: the allocator keeps the
    memory of a large file for the thread that has used it, so each thread more costs that much.
    """

    def __init__(self, decode: Callable[[str, Field], pa.Array], fields: int) -> None:
        self._decode = decode
        self._small = ThreadPoolExecutor(max(1, min(_THREADS, fields)), "columns")
        self._large = ThreadPoolExecutor(1, "vectors")

    def __enter__(self) -> _Threads:
        return self

    def submit(self, key: str, field: Field) -> Future[pa.Array]:
        return (self._large if field.is_vector else self._small).submit(self._decode, key, field)

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

    def read(self, fields: Sequence[Field]) -> Iterator[Columns]:
        """The columns of the fields, chunk by chunk.

        Raises:
            SegmentUnreadable, ObjectMissing.
        """
        fields = [self._named(field) for field in fields]
        with _Threads(self._decode, len(fields)) as threads:
            following = self._submit(threads, 0, fields)
            for position in range(len(self._chunks)):
                columns = self._gather(following, fields)
                # the next is fetched and decoded while this one is used
                if position + 1 < len(self._chunks):
                    following = self._submit(threads, position + 1, fields)
                yield columns
                del columns

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
        return self._decode(key, field)

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
    ) -> dict[str, Future[pa.Array] | None]:
        found: dict[str, Future[pa.Array] | None] = {}
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

    def _gather(
        self, waiting: dict[str, Future[pa.Array] | None], fields: Sequence[Field]
    ) -> Columns:
        there = {name: future.result() for name, future in waiting.items() if future is not None}
        rows = same_rows(there, self._ref)
        return {f.name: there[f.name] if f.name in there else filler(f, rows) for f in fields}

    def _decode(self, key: str, field: Field) -> pa.Array:
        names = ("val", str(field.field_id), field.name)  # 2.3, 2.4 and later
        found, values = read_column(self._store.get(key), names, event=INSERT, name=key)
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
        return to_field(values, field, key)

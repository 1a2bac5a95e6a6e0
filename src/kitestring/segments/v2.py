"""Segments of storage v2 (2.6): a Parquet file for each column group of each chunk.

Facts of milvus-io/milvus-storage (`packed/`) and milvus-io/milvus (`record_writer.go`,
`split_policy.go`), seen in a file that milvus-storage wrote: each column carries its field id
(`PARQUET:field_id`); the file's metadata has `storage_version`, and `group_field_id_list` with the
fields of all groups of the chunk (`100,102;101;103`). Which fields share a group is up to the
server: vectors have their own, of which the group's number is the field's id; the others have
small numbers. Row groups of the files of one chunk do not begin at the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import SegmentUnreadable
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.binlog import PARQUET_ERRORS, first_line, one_array, unreadable
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
    dynamic_field,
    dynamic_id,
    filler,
    optional,
    to_field,
)
from kitestring.segments.layout import SegmentRef
from kitestring.segments.slices import Slices

_VERSION = "1."  # of `storage_version`: what the files of 2.6 say
_ENCRYPTED = b"PARE"
_BATCH_BYTES = 32 * 1024 * 1024  # of values in a batch
_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """One open file."""

    key: str
    file: pq.ParquetFile
    names: Mapping[int, str]  # field id -> name of the column
    fields: frozenset[int]  # of all groups of the chunk

    @property
    def rows(self) -> int:
        return int(self.file.metadata.num_rows)

    @property
    def row_bytes(self) -> int:
        groups = range(self.file.num_row_groups)
        total = sum(self.file.metadata.row_group(i).total_byte_size for i in groups)
        return int(total // max(1, self.rows))


def open_group(stream: BinaryIO, key: str) -> ColumnGroup:
    """A file of a column group.

    Raises:
        SegmentUnreadable: it is no whole Parquet file, or not one of storage v2.
    """
    if stream.read(4) == _ENCRYPTED:
        raise unreadable(key, "it is encrypted")
    stream.seek(0)
    try:
        file = pq.ParquetFile(stream, pre_buffer=False)
        metadata = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
        columns = [(f.name, f.metadata or {}) for f in file.schema_arrow]
        names = {int(found[b"PARQUET:field_id"]): name for name, found in columns}
        fields = {
            int(number)
            for group in metadata["group_field_id_list"].split(";")
            for number in group.split(",")
            if number
        }
    except KeyError as error:
        raise unreadable(key, f"its metadata has no {error}") from None
    except PARQUET_ERRORS as error:
        raise unreadable(key, f"it is no whole Parquet file: {first_line(error)}") from None
    if not metadata.get("storage_version", "").startswith(_VERSION):
        version = metadata.get("storage_version", "of none")
        raise unreadable(key, f"its storage version is {version}, not {_VERSION}x")
    if len(names) != len(columns) or not set(names) <= fields:
        raise unreadable(key, "its columns are not those that its metadata names")
    return ColumnGroup(key, file, names, frozenset(fields))


class SegmentV2:
    """The insert logs of one segment. Its methods are those of `SegmentV1`."""

    def __init__(
        self, store: ObjectReader, logs: Logs, schema: Schema | None, ref: SegmentRef
    ) -> None:
        self._store, self._schema, self._ref = store, schema, ref
        self._chunks = aligned(logs, ref)

    def read(self, fields: Sequence[Field], *, ahead: bool = True) -> Iterator[Columns]:
        """The columns of the fields, in batches of some MiB; nothing is fetched ahead.

        Raises:
            SegmentUnreadable, ObjectMissing.
        """
        for chunk in self._chunks:
            yield from self._chunk(chunk, fields)

    def rows(self) -> Iterator[int]:
        """How many rows each chunk holds, deleted ones too."""
        for chunk in self._chunks:
            with closing(self._open(chunk[min(chunk)])) as stream:
                yield open_group(stream, chunk[min(chunk)]).rows

    def column(self, field: Field, position: int) -> pa.Array:
        """One column of one chunk.

        Raises:
            SegmentUnreadable: there is none; or as `read`.
        """
        parts = [columns[field.name] for columns in self._chunk(self._chunks[position], [field])]
        return pa.concat_arrays(parts)

    def _open(self, key: str) -> BinaryIO:
        """The file, to be read in pieces where the store can do that."""
        opener = getattr(self._store, "open", None)
        if opener is not None:
            stream: BinaryIO = opener(key)
            if stream.seekable():
                return stream
            stream.close()
        return BytesIO(self._store.get(key))

    def _chunk(self, chunk: Mapping[int, str], fields: Sequence[Field]) -> Iterator[Columns]:
        with ExitStack() as stack:
            where: dict[int, ColumnGroup] = {}
            groups: list[ColumnGroup] = []
            wanted = {f.field_id for f in fields if f.name != DYNAMIC_FIELD}
            dynamic = any(f.name == DYNAMIC_FIELD for f in fields)
            for number in sorted(chunk, key=lambda n: (n not in wanted, n)):
                if wanted <= set(where) and not dynamic and groups:
                    break
                stream = stack.enter_context(closing(self._open(chunk[number])))
                group = open_group(stream, chunk[number])
                where |= dict.fromkeys(group.names, group)
                groups.append(group)
            yield from self._columns(self._named(fields, groups), where, groups)

    def _named(self, fields: Sequence[Field], groups: Sequence[ColumnGroup]) -> list[Field]:
        """The fields with the id of `$meta`.

        Raises:
            SegmentUnreadable: the chunk has fields that the schema does not name.
        """
        if self._schema is None:
            return list(fields)
        found = set[int]().union(*(group.fields for group in groups))
        dynamic = dynamic_id(self._schema, found)
        known = {f.field_id for f in self._schema.fields} | {dynamic}
        strange = sorted(i for i in found if i >= FIRST_USER_FIELD and i not in known)
        if strange:
            raise unknown_fields(strange, self._ref)
        return [dynamic_field(dynamic) if f.name == DYNAMIC_FIELD else f for f in fields]

    def _columns(
        self,
        fields: Sequence[Field],
        where: Mapping[int, ColumnGroup],
        groups: Sequence[ColumnGroup],
    ) -> Iterator[Columns]:
        rows = {group.rows for group in groups}
        if len(rows) != 1:
            counts = ", ".join(f"{group.key}: {group.rows}" for group in groups)
            raise SegmentUnreadable(
                f"the column groups of the segment {self._ref} do not hold the same rows "
                f"({counts})",
                subject=str(self._ref),
            )
        for field in fields:
            written = any(field.field_id in group.fields for group in groups)
            if field.field_id not in where and (written or not optional(field)):
                raise missing_field(field, self._ref)
        holding = [where[i] for i in (f.field_id for f in fields) if i is not None and i in where]
        used = list({group.key: group for group in holding}.values())
        width = sum(group.row_bytes for group in used)
        step = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, width)))
        streams = [_Columns(group, fields) for group in used]
        left = rows.pop()
        while left > 0:
            count = min(step, left)
            columns: Columns = {}
            for stream in streams:
                columns |= stream.take(count)
            left -= same_rows(columns, self._ref) if columns else count
            yield {
                f.name: columns[f.name] if f.name in columns else filler(f, count) for f in fields
            }
            del columns
        for stream in streams:
            stream.end()


class _Columns:
    """The columns of one file."""

    def __init__(self, group: ColumnGroup, fields: Sequence[Field]) -> None:
        self._key = group.key
        self._names = {
            field: group.names[field.field_id]
            for field in fields
            if field.field_id is not None and field.field_id in group.names
        }
        self._slices = Slices([group.file], group.key, list(self._names.values()))
        self.end = self._slices.end

    def take(self, count: int) -> Columns:
        """Raises: SegmentUnreadable: there are not so many."""
        found = self._slices.take(count)
        return {
            field.name: to_field(one_array(found.column(name), self._key), field, self._key)
            for field, name in self._names.items()
        }

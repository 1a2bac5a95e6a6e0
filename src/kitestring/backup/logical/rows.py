"""Reads the rows of a logical backup out of its Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.clients.store.protocol import ObjectReader
from kitestring.errors import BackupDamaged
from kitestring.model.arrow import arrow_schema, arrow_type
from kitestring.model.backup import CollectionBackup, RowsBackup
from kitestring.model.codec import to_plain
from kitestring.model.collection import Schema
from kitestring.model.digest import DYNAMIC_FIELD

SCHEMA_KEY = b"kitestring.schema"
POSITION = "position"


def parquet_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of a collection's Parquet files.

    Types are those of `arrow_schema`. What can't be null says so: a vector's elements are then
    read and written several times as fast. Its metadata has the collection's schema as JSON.
    """
    plain = arrow_schema(schema)
    nullable = {f.name for f in schema.fields if f.nullable}
    fields = []
    for field in plain:
        kind = field.type
        if pa.types.is_fixed_size_list(kind):
            kind = pa.list_(pa.field("element", kind.value_type, nullable=False), kind.list_size)
        fields.append(pa.field(field.name, kind, nullable=field.name in nullable))
    return pa.schema(fields, {SCHEMA_KEY: json.dumps(to_plain(schema)).encode()})


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column as one of a type that differs in the names and nullability of elements at most."""
    if column.type == kind:
        return column
    if pa.types.is_fixed_size_list(kind):
        valid = column.is_valid() if column.null_count else None
        flat = column.values.slice(column.offset * kind.list_size, len(column) * kind.list_size)
        return pa.FixedSizeListArray.from_arrays(
            flat, type=kind, mask=None if valid is None else pa.compute.invert(valid)
        )
    return column.cast(kind)


def read_rows(
    reader: ObjectReader, collection: CollectionBackup, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a collection of a logical backup, a row group at a time (some 8 MiB).

    Args:
        reader: gives objects by their `source`, checked: a `PoolReader`.
        columns: names, `$meta` among them; None for all.

    The batches' schema is that of `kitestring.model.arrow.arrow_schema`.

    Raises:
        BackupDamaged: a file is missing, changed, or does not hold what the manifest says.
    """
    for part in collection.parts:
        yield from read_part(reader, collection.schema, part, columns)


def read_part(
    reader: ObjectReader,
    schema: Schema,
    part: RowsBackup,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """As `read_rows`, of one file."""
    alive = read_alive(reader, part)
    wanted = arrow_schema(schema, columns)
    at = rows = 0
    try:
        file = pq.ParquetFile(pa.BufferReader(reader.get(part.object.source)))
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, wanted.names, use_threads=False)
            arrays = [as_type(table.column(f.name).combine_chunks(), f.type) for f in wanted]
            batch = pa.RecordBatch.from_arrays(arrays, schema=wanted)
            if alive is not None:
                batch = batch.filter(pa.array(alive[at : at + batch.num_rows]))
            at += table.num_rows
            rows += batch.num_rows
            yield batch
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise damaged(part.object.key, str(error).splitlines()[0]) from None
    if rows != part.rows:
        raise damaged(part.object.key, f"it holds {rows} rows of the backup, not {part.rows}")


def read_alive(reader: ObjectReader, part: RowsBackup) -> npt.NDArray[np.bool_] | None:
    """Which rows of a file are in the backup; None for all.

    Raises:
        BackupDamaged.
    """
    if part.gone is None:
        return None
    alive = np.ones(part.written, bool)
    try:
        table = pq.read_table(pa.BufferReader(reader.get(part.gone.source)), use_threads=False)
        alive[table.column(POSITION).to_numpy()] = False
    except (pa.ArrowException, KeyError, IndexError) as error:
        raise damaged(part.gone.key, str(error).splitlines()[0]) from None
    return alive


def encode_gone(alive: npt.NDArray[np.bool_]) -> bytes:
    """The object that says which rows of a file are gone."""
    out = pa.BufferOutputStream()
    positions = pa.array(np.flatnonzero(~alive), pa.int64())
    pq.write_table(pa.table({POSITION: positions}), out, compression="zstd")
    data: bytes = out.getvalue().to_pybytes()
    return data


def fixed_columns(schema: Schema) -> list[str]:
    """The vectors: columns that neither a dictionary nor compression makes smaller."""
    return [f.name for f in schema.fields if f.is_vector]


def plain_columns(schema: Schema) -> list[str]:
    """The others; those of a collection that takes dynamic fields have `$meta`."""
    names = [f.name for f in schema.fields if not f.is_vector]
    return [*names, DYNAMIC_FIELD] if schema.dynamic else names


def parquet_path(schema: Schema, name: str) -> str:
    """What Parquet calls the column."""
    field = schema.field(name)
    listed = field is not None and (
        field.type == "ARRAY" or pa.types.is_fixed_size_list(arrow_type(field))
    )
    return f"{name}.list.element" if listed else name


def damaged(key: str, why: str) -> BackupDamaged:
    return BackupDamaged(
        f"the object {key} is damaged: {why}",
        hint="restore another backup; `kitestring backup verify` checks them",
        subject=key,
    )

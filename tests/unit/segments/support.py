"""Segments of every field type, made by `kitestring.segments.write`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from kitestring.clients.store.memory import MemoryStore
from kitestring.model.arrow import arrow_schema, arrow_type
from kitestring.model.collection import CollectionInfo, Field, Schema, Segment
from kitestring.segments.columns import dynamic_field
from kitestring.segments.plan import Part, plan_live, read_part
from kitestring.segments.write import column_groups, insert_log

COLLECTION, PARTITION, SEGMENT = 7, 8, 9
IDS = (COLLECTION, PARTITION, SEGMENT)
DIM = 8
ELEMENTS = ("BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR")
SCALARS = (*ELEMENTS, "JSON")
VECTORS = ("FLOAT", "BINARY", "FLOAT16", "BFLOAT16", "INT8", "SPARSE_FLOAT")
ROW_ID = Field("<row id>", "INT64", field_id=0)
TIMESTAMP = Field("<timestamp>", "INT64", field_id=1)


def schema_of_all(key: str = "INT64", *, nullable: bool = False, dynamic: bool = True) -> Schema:
    """A field of each type that servers of 2.3 to 2.6 have."""
    fields = [Field("id", key, primary=True, max_length=64, field_id=100)]
    fields += [
        Field(f"s_{name.lower()}", name, nullable=nullable, max_length=99) for name in SCALARS
    ]
    fields += [
        Field(f"a_{name.lower()}", "ARRAY", element_type=name, nullable=nullable, max_capacity=9)
        for name in ELEMENTS
    ]
    for name in VECTORS:
        dim = None if name == "SPARSE_FLOAT" else DIM
        fields.append(Field(f"v_{name.lower()}", f"{name}_VECTOR", dim=dim, nullable=nullable))
    return Schema(numbered(fields), dynamic=dynamic)


def numbered(fields: Sequence[Field]) -> tuple[Field, ...]:
    return tuple(replace(field, field_id=100 + n) for n, field in enumerate(fields))


def value_of(field: Field, n: int) -> object:
    """A value of a field that is another one for each row."""
    vectors: Mapping[str, object] = {
        "FLOAT_VECTOR": [float(n), -0.5] * (DIM // 2),
        "INT8_VECTOR": [n % 128, -128] * (DIM // 2),
        "BINARY_VECTOR": bytes([n % 256]),
        "FLOAT16_VECTOR": np.full(DIM, n, np.float16).tobytes(),
        "BFLOAT16_VECTOR": bytes([n % 256, 7] * DIM),
        "SPARSE_FLOAT_VECTOR": np.array([n, 2**30], np.uint32).tobytes(),
    }
    if field.type in vectors:
        return vectors[field.type]
    if field.type == "ARRAY":
        of = Field("e", field.element_type or "")
        return [value_of(of, n + i) for i in range(n % 4)]
    if field.type == "BOOL":
        return n % 2 == 0
    if field.type in ("FLOAT", "DOUBLE"):
        return n / 4 - 1e3
    if field.type == "VARCHAR":
        return f"é{n:06}"
    if field.type == "JSON":
        return b'{"n": %d, "s": "\xc3\xa9"}' % n
    return -n if n % 2 else n


def table_of(schema: Schema, keys: Sequence[int], *, nulls: bool = False) -> dict[str, pa.Array]:
    """Rows; row n has key n. With `nulls`, every third value of a nullable field is null."""
    found = {}
    for field in (*schema.fields, *([dynamic_field(None)] if schema.dynamic else [])):
        values = [
            None if nulls and field.nullable and (n + len(field.name)) % 3 == 0
            else n if field.primary and field.type == "INT64"
            else value_of(field, n)
            for n in keys
        ]  # fmt: skip
        found[field.name] = pa.array(values, arrow_type(field))
    return found


def batch_of(schema: Schema, keys: Sequence[int], *, nulls: bool = False) -> pa.RecordBatch:
    columns = table_of(schema, keys, nulls=nulls)
    shape = arrow_schema(schema)
    return pa.RecordBatch.from_arrays([columns[name] for name in shape.names], schema=shape)


def fields_of(schema: Schema, meta: int | None = None) -> dict[str, Field]:
    """By name, `$meta` with its number among them, and the system fields."""
    last = max(f.field_id or 0 for f in schema.fields)
    found = {f.name: f for f in (ROW_ID, TIMESTAMP, *schema.fields)}
    if schema.dynamic:
        found["$meta"] = replace(dynamic_field(None), field_id=meta or last + 1)
    return found


def put_chunk(
    store: MemoryStore,
    schema: Schema,
    keys: Sequence[int],
    *,
    first_log: int = 1000,
    root: str = "files",
    ids: tuple[int, int, int] = IDS,
    nulls: bool = False,
    only: Sequence[str] | None = None,
    storage: int = 1,
    row_group: int = 1000,
) -> None:
    """One chunk of a segment; row n has key n and timestamp 10 n.

    Args:
        only: leave other fields than these (and the system fields) out.
    """
    fields = fields_of(schema)
    columns = table_of(schema, keys, nulls=nulls)
    columns["<row id>"] = pa.array([n + 500 for n in keys], pa.int64())
    columns["<timestamp>"] = pa.array([n * 10 for n in keys], pa.int64())
    names = [n for n in fields if only is None or n in only or n.startswith("<")]
    top = "/".join(filter(None, (root, "insert_log", *map(str, ids))))
    if storage == 1:
        for log, name in enumerate(names, start=first_log):
            data = insert_log(columns[name], fields[name], ids, 1)
            store.put(f"{top}/{fields[name].field_id}/{log}", data)
        return
    vectors = [n for n in names if fields[n].is_vector]
    system = ["<row id>", "<timestamp>", schema.primary.name]
    others = [n for n in names if n not in vectors and n not in system]
    groups = {0: system, 1: others, **{fields[n].field_id or 0: [n] for n in vectors}}
    groups = {number: group for number, group in groups.items() if group}
    made = column_groups(
        {n: (fields[n], columns[n]) for n in names}, list(groups.values()), row_group=row_group
    )
    for log, (number, data) in enumerate(zip(groups, made, strict=True), start=first_log):
        store.put(f"{top}/{number}/{log}", data)


def info_of(schema: Schema) -> CollectionInfo:
    return CollectionInfo("c", COLLECTION, schema, 2, (), "Strong", {}, (), (), "NotLoad", 0)


def part_of(store: MemoryStore, schema: Schema, rows: int, **options: object) -> Part:
    segment = Segment(SEGMENT, PARTITION, rows, "Flushed")
    (part,) = plan_live(store, "files", info_of(schema), [segment], **options)  # type: ignore[arg-type]
    return part


def rows_of(
    store: MemoryStore, part: Part, columns: Sequence[str] | None = None
) -> list[dict[str, object]]:
    return [row for batch in read_part(store, part, columns) for row in batch.to_pylist()]


def keys_of(batches: Iterator[pa.RecordBatch]) -> list[object]:
    return [key for batch in batches for key in batch.column("id").to_pylist()]

"""The Arrow schema of a collection: the one shape in which rows flow between rooms.

| Milvus type | Arrow type |
|---|---|
| VARCHAR, STRING | string |
| BOOL, INT8 … INT64, FLOAT, DOUBLE | bool, int8 … int64, float32, float64 |
| JSON and the dynamic field `$meta` | binary (JSON text in UTF-8) |
| FLOAT_VECTOR | fixed_size_list<float32>[dim] |
| BINARY_VECTOR | fixed_size_binary[dim / 8] |
| FLOAT16_VECTOR, BFLOAT16_VECTOR | fixed_size_binary[2 * dim] |
| INT8_VECTOR | fixed_size_list<int8>[dim] |
| SPARSE_FLOAT_VECTOR | binary (pairs of uint32 index and float32 value, little-endian) |
| ARRAY | list<element> |
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD

SCALARS = {
    "BOOL": pa.bool_(),
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "STRING": pa.string(),
    "JSON": pa.binary(),
    "SPARSE_FLOAT_VECTOR": pa.binary(),
}


def arrow_type(field: Field) -> pa.DataType:
    """The Arrow type of one field.

    Raises:
        ValueError: Milvus has the type, this table does not.
    """
    dim = field.dim or 0
    if field.type == "FLOAT_VECTOR":
        return pa.list_(pa.float32(), dim)
    if field.type == "INT8_VECTOR":
        return pa.list_(pa.int8(), dim)
    if field.type == "BINARY_VECTOR":
        return pa.binary(dim // 8)
    if field.type in ("FLOAT16_VECTOR", "BFLOAT16_VECTOR"):
        return pa.binary(2 * dim)
    if field.type == "ARRAY" and field.element_type in SCALARS:
        return pa.list_(SCALARS[field.element_type])
    if field.type in SCALARS:
        return SCALARS[field.type]
    raise ValueError(f"no Arrow type for field `{field.name}` of type {field.type}")


def arrow_schema(schema: Schema, columns: Sequence[str] | None = None) -> pa.Schema:
    """The Arrow schema of a collection's rows, or of the named columns of it.

    A collection that takes dynamic fields has the column `$meta` last.
    """
    fields = [pa.field(f.name, arrow_type(f)) for f in schema.fields]
    if schema.dynamic:
        fields.append(pa.field(DYNAMIC_FIELD, pa.binary()))
    if columns is not None:
        fields = [f for f in fields if f.name in columns]
    return pa.schema(fields)

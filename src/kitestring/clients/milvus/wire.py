"""Milvus's protobuf columns to Arrow, without building a dict for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD

_SCALAR_DATA = {
    "BOOL": "bool_data",
    "INT8": "int_data",
    "INT16": "int_data",
    "INT32": "int_data",
    "INT64": "long_data",
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "VARCHAR": "string_data",
    "STRING": "string_data",
    "JSON": "json_data",
}


def quote(text: str) -> str:
    """A string literal of Milvus's filter language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f'"{escaped}"'


def literal(value: str | int) -> str:
    """A key as it stands in a filter."""
    return quote(value) if isinstance(value, str) else str(value)


def record_batch(
    fields_data: Sequence[Any], schema: Schema, columns: Sequence[str]
) -> pa.RecordBatch:
    """The `fields_data` of a query's answer as one batch with `columns` in their order.

    Raises:
        ValueError: a column is missing from the answer.
    """
    by_name = {(DYNAMIC_FIELD if f.is_dynamic else f.field_name): f for f in fields_data}
    arrays = []
    fields = []
    for name in columns:
        data = by_name.get(name)
        if data is None:
            raise ValueError(f"the answer has no column `{name}`")
        if name == DYNAMIC_FIELD:
            kind, array = pa.binary(), pa.array(data.scalars.json_data.data, pa.binary())
        else:
            field = schema.field(name)
            if field is None:
                raise ValueError(f"the schema has no field `{name}`")
            kind, array = arrow_type(field), _array(data, field)
        arrays.append(array)
        fields.append(pa.field(name, kind))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _array(data: Any, field: Field) -> pa.Array:
    kind = arrow_type(field)
    if field.type == "FLOAT_VECTOR":
        flat = np.array(data.vectors.float_vector.data, dtype=np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    if field.type in ("BINARY_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR"):
        raw = getattr(data.vectors, field.type.lower())
        return pa.FixedSizeBinaryArray.from_buffers(
            kind, len(raw) // kind.byte_width, [None, pa.py_buffer(raw)]
        )
    if field.type == "SPARSE_FLOAT_VECTOR":
        return pa.array(list(data.vectors.sparse_float_vector.contents), kind)
    if field.type == "ARRAY":
        inner = _SCALAR_DATA[field.element_type or ""]
        return pa.array([list(getattr(a, inner).data) for a in data.scalars.array_data.data], kind)
    values = getattr(data.scalars, _SCALAR_DATA[field.type]).data
    valid = list(data.valid_data)
    if valid and not all(valid):
        return pa.array([v if ok else None for v, ok in zip(values, valid, strict=True)], kind)
    return pa.array(values, kind)

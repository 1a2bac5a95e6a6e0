"""Milvus's protobuf columns to Arrow, without building a dict for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD

SCALAR_DATA = {
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
_PACKED = {"FLOAT": "<f4", "DOUBLE": "<f8"}


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
    valid = np.array(data.valid_data, dtype=bool) if data.valid_data else None
    if field.is_vector:
        return _nullable(_vectors(data.vectors, field, kind), valid)
    if field.type == "ARRAY":
        inner = SCALAR_DATA[field.element_type or ""]
        rows = [list(getattr(a, inner).data) for a in data.scalars.array_data.data]
        return _nullable(pa.array(rows, kind), valid)
    message = getattr(data.scalars, SCALAR_DATA[field.type])
    if field.type in _PACKED:
        return _nullable(pa.array(_packed(message, _PACKED[field.type])), valid)
    return _nullable(pa.array(message.data, kind), valid)


def _vectors(data: Any, field: Field, kind: pa.DataType) -> pa.Array:
    if field.type == "FLOAT_VECTOR":
        flat = _packed(data.float_vector, "<f4")
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind)
    if field.type == "SPARSE_FLOAT_VECTOR":
        return pa.array(list(data.sparse_float_vector.contents), kind)
    raw = getattr(data, field.type.lower())
    if field.type == "INT8_VECTOR":
        return pa.FixedSizeListArray.from_arrays(pa.array(np.frombuffer(raw, np.int8)), type=kind)
    return pa.FixedSizeBinaryArray.from_buffers(
        kind, len(raw) // kind.byte_width, [None, pa.py_buffer(raw)]
    )


def _nullable(values: pa.Array, valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    """The values of all rows. The server leaves the ones that are null out (vectors), or has
    something in their place (scalars)."""
    if valid is None or valid.all():
        return values
    if len(values) not in (len(valid), int(valid.sum())):
        raise ValueError(f"the answer has {len(values)} values for {len(valid)} rows")
    there = np.arange(len(valid)) if len(values) == len(valid) else np.cumsum(valid) - 1
    return values.take(pa.array(there, mask=~valid))


def _packed(message: Any, dtype: str) -> npt.NDArray[Any]:
    """The numbers of a message whose one field is `repeated … data = 1`, of a fixed width.

    Their bytes stand in the message as they are: a list of Python floats is never made.
    """
    raw = message.SerializeToString()
    if not raw:
        return np.empty(0, dtype)
    position = 1
    while position < len(raw) and raw[position] & 0x80:  # the length, a varint
        position += 1
    return np.frombuffer(raw, np.dtype(dtype), offset=position + 1)

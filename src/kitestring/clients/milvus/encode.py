"""Arrow columns to Milvus's protobuf columns: the counterpart of `kitestring.clients.milvus.wire`.

No list of Python floats is made of a vector: its bytes go into the message as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pymilvus import DataType
from pymilvus.grpc_gen import schema_pb2

from kitestring.clients.milvus.wire import SCALAR_DATA
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD

_BYTES_VECTORS = ("BINARY_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR", "INT8_VECTOR")
_PACKED = {"FLOAT": (schema_pb2.FloatArray, "<f4"), "DOUBLE": (schema_pb2.DoubleArray, "<f8")}


def fields_data(batch: pa.RecordBatch, schema: Schema) -> list[Any]:
    """A batch (of the schema of `kitestring.model.arrow.arrow_schema`) as an insert takes it."""
    found = []
    for name in batch.schema.names:
        column = batch.column(name)
        if name == DYNAMIC_FIELD:
            found.append(_dynamic(column))
            continue
        field = schema.field(name)
        if field is None:
            raise ValueError(f"the schema has no field `{name}`")
        found.append(_field(column, field))
    return found


def _dynamic(column: pa.Array) -> Any:
    data = schema_pb2.FieldData(type=DataType.JSON.value, field_name=DYNAMIC_FIELD, is_dynamic=True)
    data.scalars.json_data.data.extend(column.fill_null(b"{}").to_pylist())
    return data


def _field(column: pa.Array, field: Field) -> Any:
    data = schema_pb2.FieldData(type=DataType[field.type].value, field_name=field.name)
    if field.nullable:
        data.valid_data.extend(column.is_valid().to_pylist())
        column = column.drop_null()  # the server wants the values that are there, and no others
    if field.is_vector:
        _vectors(data.vectors, column, field)
    elif field.type == "ARRAY":
        _arrays(data.scalars.array_data, column, field.element_type or "")
    else:
        _scalars(data.scalars, column, field.type)
    return data


def _vectors(data: Any, column: pa.Array, field: Field) -> None:
    data.dim = field.dim or 0
    if field.type == "FLOAT_VECTOR":
        flat = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False), "<f4")
        data.float_vector.CopyFrom(_packed(schema_pb2.FloatArray, flat.tobytes()))
    elif field.type == "SPARSE_FLOAT_VECTOR":
        rows = column.to_pylist()
        data.sparse_float_vector.contents.extend(rows)
        data.sparse_float_vector.dim = max((_sparse_dim(row) for row in rows), default=0)
        data.dim = data.sparse_float_vector.dim
    elif field.type in _BYTES_VECTORS:
        if pa.types.is_fixed_size_list(column.type):
            raw = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False)).tobytes()
        else:
            raw = b"".join(column.to_pylist())
        setattr(data, field.type.lower(), raw)
    else:
        raise ValueError(f"vectors of type {field.type} can't be written")


def _sparse_dim(row: bytes) -> int:
    indices = np.frombuffer(row, "<u4")[::2]
    return int(indices.max()) + 1 if len(indices) else 0


def _scalars(data: Any, column: pa.Array, kind: str) -> None:
    if kind in _PACKED:
        message, dtype = _PACKED[kind]
        raw = np.ascontiguousarray(column.to_numpy(zero_copy_only=False), dtype).tobytes()
        getattr(data, SCALAR_DATA[kind]).CopyFrom(_packed(message, raw))
    else:
        getattr(data, SCALAR_DATA[kind]).data.extend(column.to_pylist())


def _arrays(data: Any, column: pa.Array, element: str) -> None:
    data.element_type = DataType[element].value
    values: Sequence[Sequence[Any]] = column.to_pylist()
    for row in values:
        item = data.data.add()
        getattr(item, SCALAR_DATA[element]).data.extend(row)


def _packed(message: Any, raw: bytes) -> Any:
    """A message whose one field is `repeated … data = 1`, from the bytes of its numbers."""
    if not raw:
        return message()
    length, left = bytearray(), len(raw)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return message.FromString(b"\x0a" + bytes(length) + raw)

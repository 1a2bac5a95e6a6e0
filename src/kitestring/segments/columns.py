"""From the values of a segment file to the Arrow type of the field."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field, Schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.segments.arrays import decode_arrays

ROW_ID_FIELD, TIMESTAMP_FIELD = 0, 1  # every segment has them
FIRST_USER_FIELD = 100
TIMESTAMP = Field("<timestamp>", "INT64", field_id=TIMESTAMP_FIELD)

# numbers of milvus-io/milvus-proto `schemapb.DataType`: what a descriptor's payload type says
PAYLOAD_TYPES = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 3,
    "INT32": 4,
    "INT64": 5,
    "FLOAT": 10,
    "DOUBLE": 11,
    "STRING": 20,
    "VARCHAR": 21,
    "ARRAY": 22,
    "JSON": 23,
    "BINARY_VECTOR": 100,
    "FLOAT_VECTOR": 101,
    "FLOAT16_VECTOR": 102,
    "BFLOAT16_VECTOR": 103,
    "SPARSE_FLOAT_VECTOR": 104,
    "INT8_VECTOR": 105,
}
# bits of one dimension, for vectors that are a fixed number of bytes
VECTOR_BITS = {
    "BINARY_VECTOR": 1,
    "INT8_VECTOR": 8,
    "FLOAT16_VECTOR": 16,
    "BFLOAT16_VECTOR": 16,
    "FLOAT_VECTOR": 32,
}


def dynamic_field(field_id: int | None) -> Field:
    """The field `$meta` of a collection that takes dynamic ones.

    A collection may have got it after its first rows (2.6): those have no dynamic values.
    """
    return Field(DYNAMIC_FIELD, "JSON", field_id=field_id, default="{}")


def dynamic_id(schema: Schema, found: set[int]) -> int | None:
    """The id of `$meta`, which `describe` does not show; None where a segment does not have it.

    Args:
        found: the ids of the fields that the segment has.

    It is the one that the schema does not name: the server numbers it after the fields that a
    collection is made with, and fields that are added later come after it.
    """
    known = {field.field_id for field in schema.fields}
    others = sorted(i for i in found if i >= FIRST_USER_FIELD and i not in known)
    return others[0] if schema.dynamic and len(others) == 1 else None


def optional(field: Field) -> bool:
    """Whether rows may come from before the field was added to the collection (2.6)."""
    return field.nullable or field.default is not None


def filler(field: Field, rows: int) -> pa.Array:
    """The values of an added field in rows that are older than it."""
    kind = arrow_type(field)
    return pa.nulls(rows, kind) if field.default is None else pa.repeat(_default(field), rows)


def _default(field: Field) -> pa.Scalar:
    value = field.default
    if field.type == "JSON" and isinstance(value, str):
        value = value.encode()  # type: ignore[assignment]
    return pa.scalar(value, arrow_type(field))


def to_field(values: pa.Array, field: Field, name: str) -> pa.Array:
    """The values as `kitestring.model.arrow` wants them; dense vectors without a copy.

    Raises:
        SegmentUnreadable: the payload is not what a field of that type has.
    """
    try:
        found = _converted(values, field, arrow_type(field))
        if found.null_count and field.default is not None:
            found = pc.fill_null(found, _default(field))
        if found.null_count and not field.nullable:
            raise ValueError("it has values that are null, and may not")
    except (pa.ArrowException, ValueError, struct.error) as error:
        raise SegmentUnreadable(
            f"the segment file {name} can't be read: field `{field.name}`: {error}", subject=name
        ) from None
    return found


def _converted(values: pa.Array, field: Field, wanted: pa.DataType) -> pa.Array:
    types = pa.types
    if field.type in VECTOR_BITS:
        return _vectors(values, field, wanted)
    if field.type == "ARRAY":
        return decode_arrays(values, field.element_type or "", wanted)
    if types.is_binary(wanted) != types.is_binary(values.type):
        raise ValueError(f"it holds {values.type}, not {wanted}")
    if types.is_floating(wanted) != types.is_floating(values.type):
        raise ValueError(f"it holds {values.type}, not {wanted}")
    if types.is_string(wanted) != types.is_string(values.type):
        raise ValueError(f"it holds {values.type}, not {wanted}")
    if field.type == "SPARSE_FLOAT_VECTOR":
        _check_sparse(values)
    return values if values.type == wanted else values.cast(wanted)


def _vectors(values: pa.Array, field: Field, wanted: pa.DataType) -> pa.Array:
    dim = field.dim or 0
    width = VECTOR_BITS[field.type] * dim // 8
    if pa.types.is_list(values.type) and values.type.value_type == pa.float32():
        values = _from_lists(values, width)  # seen in files of milvus-storage itself
    elif pa.types.is_binary(values.type):
        values = _from_binary(values, width)  # of nullable fields
    if not pa.types.is_fixed_size_binary(values.type):
        raise ValueError(f"it holds {values.type}, not vectors")
    if values.type.byte_width != width:
        bits = values.type.byte_width * 8
        raise ValueError(
            f"its vectors have {bits // VECTOR_BITS[field.type]} dimensions, not {dim}"
        )
    if pa.types.is_fixed_size_binary(wanted):
        return values
    nulls = values.is_null() if values.null_count else None
    flat = pa.Array.from_buffers(
        wanted.value_type,
        len(values) * dim,
        [None, values.buffers()[1]],
        offset=values.offset * dim,
    )
    return pa.FixedSizeListArray.from_arrays(flat, type=wanted, mask=nulls)


def _from_binary(values: pa.Array, width: int) -> pa.Array:
    lengths = pc.binary_length(values)
    if not pc.all(pc.equal(lengths, width), min_count=0).as_py():
        raise ValueError(f"not all of its vectors have {width} bytes")
    return values.cast(pa.binary(width))


def _from_lists(values: pa.Array, width: int) -> pa.Array:
    if not pc.all(pc.equal(pc.list_value_length(values), width // 4), min_count=0).as_py():
        raise ValueError(f"not all of its vectors have {width // 4} dimensions")
    if values.null_count:
        raise ValueError("it has vectors that are null")
    flat = np.ascontiguousarray(values.flatten().to_numpy(zero_copy_only=False), np.float32)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(values), [None, pa.py_buffer(flat)]
    )


def _check_sparse(values: pa.Array) -> None:
    """A sparse vector is pairs of 8 bytes."""
    odd = pc.bit_wise_and(pc.binary_length(values), 7)
    if pc.max(odd).as_py():
        raise ValueError("it has a sparse vector that is cut short")

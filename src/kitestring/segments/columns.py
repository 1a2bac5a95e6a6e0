"""From the values of a binlog's payload to the Arrow type of the field."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa

from kitestring.errors import SegmentUnreadable
from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field
from kitestring.model.digest import DYNAMIC_FIELD

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
}


def dynamic_field(field_id: int) -> Field:
    """The field `$meta` of a collection that takes dynamic ones."""
    return Field(DYNAMIC_FIELD, "JSON", field_id=field_id)


def to_field(values: pa.Array, field: Field, name: str) -> pa.Array:
    """The values as `kitestring.model.arrow` wants them; float vectors without a copy.

    Raises:
        SegmentUnreadable: the payload is not what a field of that type has.
    """
    try:
        wanted = arrow_type(field)
        if field.type == "FLOAT_VECTOR":
            return _float_vectors(values, wanted)
        if field.type == "ARRAY":
            return _arrays(values, field.element_type or "", wanted)
        if pa.types.is_fixed_size_binary(wanted) and values.type != wanted:
            raise ValueError(f"it holds {values.type}, not {wanted}")
        if pa.types.is_binary(wanted) != pa.types.is_binary(values.type):
            raise ValueError(f"it holds {values.type}, not {wanted}")
        return values if values.type == wanted else values.cast(wanted)
    except (pa.ArrowException, ValueError, struct.error) as error:
        raise SegmentUnreadable(
            f"the segment file {name} can't be read: field `{field.name}`: {error}", subject=name
        ) from None


def _float_vectors(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if not pa.types.is_fixed_size_binary(values.type):
        raise ValueError(f"it holds {values.type}, not vectors")
    dim = wanted.list_size
    if values.type.byte_width != 4 * dim:
        raise ValueError(f"its vectors have {values.type.byte_width // 4} dimensions, not {dim}")
    if values.null_count:
        raise ValueError("it has vectors that are null")
    flat = pa.Array.from_buffers(
        pa.float32(), len(values) * dim, [None, values.buffers()[1]], offset=values.offset * dim
    )
    return pa.FixedSizeListArray.from_arrays(flat, type=wanted)


# field number in `schemapb.ScalarField` -> how its packed or repeated `data = 1` is coded
_ARRAY_FIELDS = {1: "varint", 2: "varint", 3: "varint", 4: "<f", 5: "<d", 6: "bytes"}


def _arrays(values: pa.Array, element: str, wanted: pa.DataType) -> pa.Array:
    """Values of an ARRAY field: each a `schemapb.ScalarField` in protobuf."""
    rows = [None if v is None else _scalar_field(v) for v in values.to_pylist()]
    if element == "BOOL":
        rows = [None if r is None else [bool(v) for v in r] for r in rows]
    elif element in ("VARCHAR", "STRING"):
        rows = [None if r is None else [v.decode() for v in r] for r in rows]
    return pa.array(rows, wanted)


def _scalar_field(data: bytes) -> list[Any]:
    outer = _messages(data)
    if not outer:
        return []
    if len(outer) > 1 or outer[0][0] not in _ARRAY_FIELDS or outer[0][1] != 2:
        raise ValueError("an array is not coded as this reader knows it")
    coding = _ARRAY_FIELDS[outer[0][0]]
    items: list[Any] = []
    for number, wire, value in _messages(outer[0][2]):
        if number != 1:
            raise ValueError("an array is not coded as this reader knows it")
        if coding == "bytes":
            items.append(value)
        elif coding == "varint":
            items.extend(_packed_varints(value) if wire == 2 else [_signed(value)])
        else:
            items.extend(v for (v,) in struct.iter_unpack(coding, value))
    return items


def _messages(data: bytes) -> list[tuple[int, int, Any]]:
    """Field number, wire type and value of each field of a protobuf message."""
    found: list[tuple[int, int, Any]] = []
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        value: Any
        if wire == 0:
            value, position = _varint(data, position)
        elif wire in (1, 2, 5):
            size = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                size, position = _varint(data, position)
            value = data[position : position + size]
            if len(value) != size:
                raise ValueError("an array is cut short")
            position += size
        else:
            raise ValueError("an array is not coded as this reader knows it")
        found.append((tag >> 3, wire, value))
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("an array is cut short")


def _packed_varints(data: bytes) -> list[int]:
    values = []
    position = 0
    while position < len(data):
        value, position = _varint(data, position)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value

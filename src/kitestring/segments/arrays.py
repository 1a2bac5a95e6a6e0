"""Values of ARRAY fields: each is a `schemapb.ScalarField` in protobuf's wire format.

ScalarField: bool_data = 1, int_data = 2 (INT8 to INT32), long_data = 3, float_data = 4,
             double_data = 5, string_data = 6; each a message of `repeated … data = 1`
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

# element type -> the number of its field in `ScalarField`, and how `data` is coded
_CODINGS = {
    "BOOL": (1, "varint"),
    "INT8": (2, "varint"),
    "INT16": (2, "varint"),
    "INT32": (2, "varint"),
    "INT64": (3, "varint"),
    "FLOAT": (4, "<f"),
    "DOUBLE": (5, "<d"),
    "VARCHAR": (6, "bytes"),
    "STRING": (6, "bytes"),
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def decode_arrays(values: pa.Array, element: str, wanted: pa.DataType) -> pa.Array:
    """A column of such messages as a list column.

    Raises:
        ValueError: a message is not of the element type, cut short, or coded otherwise.
    """
    if not pa.types.is_binary(values.type):
        raise ValueError(f"it holds {values.type}, not arrays")
    if element not in _CODINGS:
        raise ValueError(f"arrays of {element or 'an unknown type'} are not known")
    number, coding = _CODINGS[element]
    rows: list[list[Any] | None] = []
    for value in values.to_pylist():
        items = None if value is None else list(_items(value, number, coding))
        if items is not None and element == "BOOL":
            items = [bool(item) for item in items]
        rows.append(items)
    return pa.array(rows, wanted)


def encode_array(items: list[Any], element: str) -> bytes:
    """One value of an ARRAY field, as a server writes it."""
    number, coding = _CODINGS[element]
    if coding == "bytes":
        texts = [item.encode() for item in items]
        body = b"".join(b"\x0a" + _as_varint(len(text)) + text for text in texts)
    else:
        if coding == "varint":
            packed = b"".join(_as_varint(int(item)) for item in items)
        else:
            packed = b"".join(struct.pack(coding, item) for item in items)
        body = b"\x0a" + _as_varint(len(packed)) + packed if items else b""
    return bytes([number << 3 | _BYTES]) + _as_varint(len(body)) + body


def _items(data: bytes, number: int, coding: str) -> Iterator[Any]:
    for found, wire, message in _fields(data):
        if found != number or wire != _BYTES:
            raise ValueError("an array is not of its field's element type")
        for inner, kind, value in _fields(message):
            if inner != 1:
                raise ValueError("an array is not coded as this reader knows it")
            yield from _values(kind, value, coding)


def _values(wire: int, value: Any, coding: str) -> Iterator[Any]:
    """One `data = 1`: packed, or a single one of those that repeat."""
    if coding == "bytes" and wire == _BYTES:
        yield value.decode()
    elif coding == "varint" and wire == _VARINT:
        yield _signed(value)
    elif coding == "varint" and wire == _BYTES:
        position = 0
        while position < len(value):
            item, position = _varint(value, position)
            yield _signed(item)
    elif coding in ("<f", "<d") and wire in (_BYTES, _FIXED64 if coding == "<d" else _FIXED32):
        if len(value) % struct.calcsize(coding):
            raise ValueError("an array is cut short")
        yield from (item for (item,) in struct.iter_unpack(coding, value))
    else:
        raise ValueError("an array is not coded as this reader knows it")


def _fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field of a message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == _VARINT:
            number, position = _varint(data, position)
            yield tag >> 3, wire, number
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("an array is not coded as this reader knows it")
        if position + size > len(data):
            raise ValueError("an array is cut short")
        yield tag >> 3, wire, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
        shift += 7
    raise ValueError("an array is cut short")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _as_varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)

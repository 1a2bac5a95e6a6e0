"""Writes segment files of storage v1: the counterpart of `kitestring.segments.binlog`.

Servers of 2.3 import what it writes. Tests and simulations make segments with it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field
from kitestring.segments.binlog import DELETE, DESCRIPTOR, INSERT, MAGIC
from kitestring.segments.columns import PAYLOAD_TYPES

_POST_HEADERS = bytes((52, 16, 16, 16, 16, 16, 16, 16))


def insert_log(values: pa.Array, field: Field, ids: tuple[int, int, int], at: int) -> bytes:
    """One column of one segment.

    Args:
        values: of the type of `kitestring.model.arrow`.
        ids: collection, partition, segment.
        at: the timestamp of the events (ms since the epoch << 18).
    """
    if field.type == "FLOAT_VECTOR":
        kind = arrow_type(field)
        flat = np.ascontiguousarray(values.flatten().to_numpy(zero_copy_only=False), np.float32)
        values = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(4 * kind.list_size), len(values), [None, pa.py_buffer(flat.tobytes())]
        )
    kind_number = PAYLOAD_TYPES[field.type]
    return _file("val", values, INSERT, (*ids, field.field_id or 0), at, kind_number)


def delta_log(deletes: Iterable[tuple[str | int, int]], ids: tuple[int, int, int]) -> bytes:
    """Deletes of one segment, as pairs of key and timestamp."""
    rows = [
        json.dumps({"pk": pk, "ts": ts, "pkType": PAYLOAD_TYPES[_kind(pk)]}) for pk, ts in deletes
    ]
    at = max((json.loads(row)["ts"] for row in rows), default=0)
    return _file("val", pa.array(rows), DELETE, (*ids, -1), at, PAYLOAD_TYPES["STRING"])


def _kind(pk: str | int) -> str:
    return "VARCHAR" if isinstance(pk, str) else "INT64"


def _file(
    column: str, values: pa.Array, event: int, ids: tuple[int, int, int, int], at: int, kind: int
) -> bytes:
    parquet = BytesIO()
    pq.write_table(pa.table({column: values}), parquet, compression="zstd")
    extras = json.dumps({"original_size": str(values.nbytes)}).encode()
    descriptor = struct.pack("<qqqqQQi", *ids, at, at, kind) + _POST_HEADERS
    descriptor += struct.pack("<i", len(extras)) + extras
    data = struct.pack("<i", MAGIC)
    for number, body in (
        (DESCRIPTOR, descriptor),
        (event, struct.pack("<QQ", at, at) + parquet.getvalue()),
    ):
        length = 17 + len(body)
        data += struct.pack("<qbii", at, number, length, len(data) + length) + body
    return data

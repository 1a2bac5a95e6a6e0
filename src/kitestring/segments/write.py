"""Writes segment files: the counterpart of `binlog`, `deltas` and `v2` of this package.

Servers of 2.3 import what it writes for storage v1. Tests and simulations make segments with it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kitestring.model.collection import Field
from kitestring.segments.arrays import encode_array
from kitestring.segments.binlog import DELETE, DESCRIPTOR, INSERT, MAGIC
from kitestring.segments.columns import PAYLOAD_TYPES, VECTOR_BITS

_POST_HEADERS = bytes((52, 16, 16, 16, 16, 16, 16, 16))


def insert_log(
    values: pa.Array, field: Field, ids: tuple[int, int, int], at: int, *, column: str = "val"
) -> bytes:
    """One column of one segment.

    Args:
        values: of the type of `kitestring.model.arrow`.
        ids: collection, partition, segment.
        at: the timestamp of the events (ms since the epoch << 18).
        column: the name in the payload: `val` (2.3), the field's id (2.4 and later).
    """
    table = pa.table({column: stored(values, field)})
    return _file(
        table, INSERT, (*ids, field.field_id or 0), at, PAYLOAD_TYPES[field.type],
        {"nullable": field.nullable} if field.nullable else {},
    )  # fmt: skip


def delta_log(
    deletes: Iterable[tuple[str | int, int]], ids: tuple[int, int, int], *, form: str = "json"
) -> bytes:
    """Deletes of one segment, as pairs of key and timestamp.

    Args:
        form: `json`, `text` (`<pk>,<ts>` of the oldest servers), `columns` (`pk` and `ts`), or
            `parquet`: those columns without the container.
    """
    rows = list(deletes)
    at = max((ts for _, ts in rows), default=0)
    if form in ("columns", "parquet"):
        kind = pa.string() if rows and isinstance(rows[0][0], str) else pa.int64()
        table = pa.table(
            {"pk": pa.array([pk for pk, _ in rows], kind), "ts": [ts for _, ts in rows]}
        )
        if form == "parquet":
            return _parquet(table)
        number, extras = PAYLOAD_TYPES["INT64"], {"version": "MULTI_FIELD"}
        return _file(table, DELETE, (*ids, -1), at, number, extras)
    if form == "text":
        texts = [f"{pk},{ts}" for pk, ts in rows]
    else:
        texts = [json.dumps({"pk": k, "ts": ts, "pkType": _pk_type(k)}) for k, ts in rows]
    table = pa.table({"val": pa.array(texts, pa.string())})
    return _file(table, DELETE, (*ids, -1), at, PAYLOAD_TYPES["STRING"], {})


def column_groups(
    columns: Mapping[str, tuple[Field, pa.Array]],
    groups: Sequence[Sequence[str]],
    *,
    row_group: int = 1000,
) -> list[bytes]:
    """One chunk of a segment of storage v2: a file for each group.

    Args:
        columns: by name.
        groups: the names in each.
        row_group: rows in a row group of the first file; the others have other sizes.
    """
    listed = ";".join(
        ",".join(str(columns[name][0].field_id) for name in group) for group in groups
    )
    metadata = {"storage_version": "1.0.0", "group_field_id_list": listed}
    files = []
    for number, group in enumerate(groups):
        arrays = [stored(columns[name][1], columns[name][0]) for name in group]
        shape = pa.schema(
            [
                pa.field(
                    name,
                    array.type,
                    metadata={"PARQUET:field_id": str(columns[name][0].field_id)},
                )
                for name, array in zip(group, arrays, strict=True)
            ],
            metadata=metadata,
        )
        out = BytesIO()
        size = max(1, row_group // (number + 1))
        with pq.ParquetWriter(out, shape, compression="zstd", store_schema=True) as writer:
            writer.write_table(pa.Table.from_arrays(arrays, schema=shape), row_group_size=size)
            writer.add_key_value_metadata(metadata)
        files.append(out.getvalue())
    return files


def stored(values: pa.Array, field: Field) -> pa.Array:
    """A column as a server stores it."""
    if field.type == "ARRAY":
        rows = values.to_pylist()
        coded = [None if r is None else encode_array(r, field.element_type or "") for r in rows]
        return pa.array(coded, pa.binary())
    bits = VECTOR_BITS.get(field.type)
    if bits is None:
        return values
    width = bits * (field.dim or 0) // 8
    if field.nullable:
        present = iter(_packed(values.drop_null(), width).to_pylist())
        cells = [next(present) if valid else None for valid in values.is_valid().to_pylist()]
        return pa.array(cells, pa.binary())
    return _packed(values, width)


def _packed(values: pa.Array, width: int) -> pa.Array:
    if not pa.types.is_fixed_size_list(values.type):
        return values
    flat = np.ascontiguousarray(values.flatten().to_numpy(zero_copy_only=False))
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(values), [None, pa.py_buffer(flat.tobytes())]
    )


def _pk_type(pk: str | int) -> int:
    return PAYLOAD_TYPES["VARCHAR" if isinstance(pk, str) else "INT64"]


def _parquet(table: pa.Table) -> bytes:
    out = BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def _file(
    table: pa.Table,
    event: int,
    ids: tuple[int, int, int, int],
    at: int,
    kind: int,
    more: Mapping[str, object],
) -> bytes:
    extras = json.dumps({"original_size": str(table.nbytes), **more}).encode()
    descriptor = struct.pack("<qqqqQQi", *ids, at, at, kind) + _POST_HEADERS
    descriptor += struct.pack("<i", len(extras)) + extras
    data = struct.pack("<i", MAGIC)
    for number, body in (
        (DESCRIPTOR, descriptor),
        (event, struct.pack("<QQ", at, at) + _parquet(table)),
    ):
        length = 17 + len(body)
        data += struct.pack("<qbii", at, number, length, len(data) + length) + body
    return data

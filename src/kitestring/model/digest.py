"""An order-independent digest of rows, the same however the rows were read.

Each row is hashed with BLAKE2b-128 and the hashes are added modulo 2**128, so parts that were
read apart can be added, and a row that is there twice changes the sum (with XOR it would cancel).
Addition of hashes is the incremental multiset hash of Clarke et al., ASIACRYPT 2003
(MSet-Add-Hash). It shows accidents, not an adversary: manifests are signed for that.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from kitestring.model.backup import RowDigest

_MASK = (1 << 128) - 1
DYNAMIC_FIELD = "$meta"


class DigestBuilder:
    """Takes record batches in any order and size; `result()` is the digest of all their rows.

    The batches' columns are matched by name; `key` names the primary key. The order of columns
    does not matter.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._rows = 0
        self._keys = 0
        self._content = 0

    def add(self, batch: pa.RecordBatch) -> None:
        names = sorted(batch.schema.names)
        cells = [list(_cells(name, batch.column(name))) for name in names]
        keys = cells[names.index(self._key)]
        prefixes = [_frame(name.encode()) for name in names]
        for row, key in enumerate(keys):
            self._keys += _hash(key)
            self._content += _hash(
                b"".join(
                    prefix + _frame(column[row])
                    for prefix, column in zip(prefixes, cells, strict=True)
                )
            )
        self._rows += batch.num_rows
        self._keys &= _MASK
        self._content &= _MASK

    def result(self) -> RowDigest:
        return RowDigest(self._rows, f"{self._keys:032x}", f"{self._content:032x}")


def digest_batches(key: str, batches: Iterable[pa.RecordBatch]) -> RowDigest:
    """The digest of all rows of `batches`."""
    builder = DigestBuilder(key)
    for batch in batches:
        builder.add(batch)
    return builder.result()


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=16).digest(), "big")


def _frame(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _cells(name: str, column: pa.Array) -> Iterator[bytes]:
    """Each value of a column as bytes that do not depend on how it was read."""
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        width = kind.list_size * kind.value_type.bit_width // 8
        flat = column.flatten().to_numpy(zero_copy_only=False).tobytes()
        for row in range(len(column)):
            yield flat[row * width : (row + 1) * width]
        return
    for value in column.to_pylist():
        yield _cell(name, value)


def _cell(name: str, value: Any) -> bytes:
    if value is None:
        return b"\x00null"
    if name == DYNAMIC_FIELD:
        return canonical_json(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":")).encode()
    return str(value).encode()


def canonical_json(value: bytes | str) -> bytes:
    """JSON text with sorted keys and no spaces, as UTF-8."""
    return json.dumps(
        json.loads(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()

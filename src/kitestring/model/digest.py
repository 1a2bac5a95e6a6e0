"""An order-independent digest of rows, the same however the rows were read.

Each row is hashed with BLAKE2b-128 and the hashes are added modulo 2**128, so parts that were
read apart can be added, and a row that is there twice changes the sum (with XOR it would cancel).
Addition of hashes is the incremental multiset hash of Clarke et al., ASIACRYPT 2003
(MSet-Add-Hash). It shows accidents, not an adversary: manifests are signed for that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.model.backup import RowDigest

DYNAMIC_FIELD = "$meta"
HASH = 16  # bytes of a row's hash

Hashes = npt.NDArray[np.uint8]
"""One hash a row: shape (rows, 16)."""

_MASK = (1 << 128) - 1
_NULL = b"\x00null"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_BYTES = 4 * 1024 * 1024  # of values hashed at a time


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
        self.add_hashes(*row_hashes(batch, self._key))

    def add_hashes(self, keys: Hashes, content: Hashes) -> None:
        """The same for rows whose hashes are known (see `row_hashes`)."""
        self._rows += len(keys)
        self._keys = (self._keys + _sum(keys)) & _MASK
        self._content = (self._content + _sum(content)) & _MASK

    def result(self) -> RowDigest:
        return RowDigest(self._rows, f"{self._keys:032x}", f"{self._content:032x}")


def digest_batches(key: str, batches: Iterable[pa.RecordBatch]) -> RowDigest:
    """The digest of all rows of `batches`."""
    builder = DigestBuilder(key)
    for batch in batches:
        builder.add(batch)
    return builder.result()


def row_hashes(batch: pa.RecordBatch, key: str) -> tuple[Hashes, Hashes]:
    """The hashes of each row's key, and of its whole content."""
    step = max(1, _BYTES * batch.num_rows // max(1, batch.nbytes))
    parts = [_slice_hashes(batch.slice(at, step), key) for at in range(0, batch.num_rows, step)]
    if not parts:
        return np.empty((0, HASH), np.uint8), np.empty((0, HASH), np.uint8)
    return np.concatenate([k for k, _ in parts]), np.concatenate([c for _, c in parts])


def key_hashes(keys: pa.Array) -> Hashes:
    """The hash of each key, as it stands in a digest."""
    return _hashed(_cells("", keys))


def _slice_hashes(batch: pa.RecordBatch, key: str) -> tuple[Hashes, Hashes]:
    columns: list[pa.Array | pa.Scalar] = []
    keys = None
    for name in sorted(batch.schema.names):
        cells = _cells(name, batch.column(name))
        if name == key:
            keys = cells
        length = np.asarray(pc.binary_length(cells), np.uint32)
        columns += [pa.scalar(_frame(name.encode()), pa.binary()), _fixed(length), cells]
    if keys is None:
        raise ValueError(f"the batch has no key column `{key}`")
    rows = pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.binary()))
    return _hashed(keys), _hashed(rows)


def _hashed(values: pa.Array) -> Hashes:
    """The hash of each value of a binary column without nulls."""
    _, offset_buffer, data = values.buffers()
    begin = values.offset
    offsets = np.frombuffer(offset_buffer, np.int32)[begin : begin + len(values) + 1].tolist()
    view = memoryview(data if data is not None else b"")
    blake2b = hashlib.blake2b
    digests = b"".join(
        [blake2b(view[a:b], digest_size=HASH).digest() for a, b in pairwise(offsets)]
    )
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH)


def _sum(hashes: Hashes) -> int:
    """The sum of big-endian numbers of 128 bits; exact below 2**32 rows."""
    words = np.ascontiguousarray(hashes).view(">u4")
    total = 0
    for column in words.sum(axis=0, dtype=np.uint64).tolist() if len(words) else ():
        total = (total << 32) + column
    return total


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _cells(name: str, column: pa.Array) -> pa.Array:
    """Each value of a column as bytes that do not depend on how it was read; no nulls."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    cells = _plain_cells(name, column)
    return pc.fill_null(cells, pa.scalar(_NULL, pa.binary())) if cells.null_count else cells


def _plain_cells(name: str, column: pa.Array) -> pa.Array:
    kind, types = column.type, pa.types
    if types.is_fixed_size_list(kind) and column.null_count:
        valid = np.asarray(column.is_valid())
        positions = pa.array(np.cumsum(valid) - 1, mask=~valid)
        return _plain_cells(name, column.drop_null()).take(positions)
    if types.is_fixed_size_list(kind):
        width = kind.list_size * kind.value_type.bit_width // 8
        flat = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False))
        return _fixed(flat.view(np.uint8).reshape(-1, width)) if width else _python(name, column)
    if name == DYNAMIC_FIELD or types.is_list(kind):
        return _python(name, column)
    if types.is_boolean(kind):
        return pc.if_else(column, b"True", b"False").cast(pa.binary())
    if types.is_integer(kind):
        return column.cast(pa.string()).cast(pa.binary())
    if types.is_floating(kind):
        doubles = np.ascontiguousarray(column.fill_null(0).to_numpy(zero_copy_only=False), "<f8")
        cells = _fixed(doubles)
        return cells if not column.null_count else pc.if_else(column.is_valid(), cells, None)
    return column.cast(pa.binary())


def _fixed(values: npt.NDArray[np.generic]) -> pa.Array:
    """Rows of a C-contiguous array as a binary column."""
    width = values.nbytes // max(1, len(values))
    offsets = np.arange(len(values) + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )


def _python(name: str, column: pa.Array) -> pa.Array:
    if name == DYNAMIC_FIELD:
        # rows often share the text: each is parsed once
        distinct = column.dictionary_encode()
        cells = _each(name, distinct.dictionary)
        return cells.take(distinct.indices)
    return _each(name, column)


def _each(name: str, column: pa.Array) -> pa.Array:
    values: Sequence[object] = column.to_pylist()
    if name == DYNAMIC_FIELD:
        cells = [None if v is None else canonical_json(v) for v in values]  # type: ignore[arg-type]
    else:
        cells = [None if v is None else _text(v).encode() for v in values]
    return pa.array(cells, pa.binary())


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def canonical_json(value: bytes | str) -> bytes:
    """JSON text with sorted keys and no spaces, as UTF-8; what is no JSON as it stands."""
    if value in (b"{}", "{}"):
        return b"{}"
    try:
        return _CANONICAL.encode(json.loads(value)).encode()
    except (ValueError, RecursionError):  # no JSON, or none that can be written again
        return value.encode(errors="surrogatepass") if isinstance(value, str) else value

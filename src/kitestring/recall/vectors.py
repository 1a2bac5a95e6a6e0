"""Stored vectors as arrays, and as a search takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.model.collection import Field
from kitestring.recall.sparse import Sparse

FLOAT_METRICS = ("COSINE", "IP", "L2")
BINARY_METRICS = ("HAMMING", "JACCARD")
SPARSE_METRICS = ("IP",)  # BM25 scores texts, which a vector does not hold
DISTANCES = ("L2", *BINARY_METRICS)
"""Metrics by which a smaller score is nearer."""
_METRICS = {
    "FLOAT_VECTOR": FLOAT_METRICS,
    "FLOAT16_VECTOR": FLOAT_METRICS,
    "BFLOAT16_VECTOR": FLOAT_METRICS,
    "INT8_VECTOR": FLOAT_METRICS,
    "BINARY_VECTOR": BINARY_METRICS,
    "SPARSE_FLOAT_VECTOR": SPARSE_METRICS,
}

Vectors = npt.NDArray[Any] | Sparse
"""Of shape (rows, dimension); of binary ones the bits, 0 or 1."""


def metrics_of(field: Field) -> tuple[str, ...]:
    """The metrics in which this tool can score vectors of a field; empty where in none."""
    return _METRICS.get(field.type, ())


def vectors_of(batch: pa.RecordBatch, field: Field) -> Vectors:
    """A column of vectors. Half floats are widened to float32, which loses nothing."""
    column = batch.column(field.name)
    if field.type == "SPARSE_FLOAT_VECTOR":
        return Sparse.parsed(column.to_pylist())
    if pa.types.is_fixed_size_binary(column.type):
        return _unpacked(b"".join(column.to_pylist()), len(column), field)
    flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)


def as_stored(vectors: Vectors, field: Field) -> Vectors:
    """Vectors with the precision that a field keeps: a server answers for those."""
    if field.type in ("FLOAT16_VECTOR", "BFLOAT16_VECTOR") and isinstance(vectors, np.ndarray):
        return _unpacked(b"".join(wire_vectors(vectors, field)), len(vectors), field)
    return vectors


def wire_vectors(vectors: Vectors, field: Field) -> list[Any]:
    """Vectors as a search takes them: what is not float32 as bytes, sparse ones as mappings."""
    if isinstance(vectors, Sparse):
        return list(vectors.as_mappings())
    if field.type == "BINARY_VECTOR":
        return [row.tobytes() for row in np.packbits(vectors.astype(np.uint8), axis=1)]
    if field.type == "FLOAT16_VECTOR":
        return [row.tobytes() for row in vectors.astype("<f2")]
    if field.type == "BFLOAT16_VECTOR":
        return [row.tobytes() for row in _upper_halves(vectors)]
    if field.type == "INT8_VECTOR":
        return [row.tobytes() for row in vectors.astype(np.int8)]
    found: list[Any] = vectors.tolist()
    return found


def row_of(vectors: Vectors, row: int) -> Vectors:
    """One row, shape (1, dimension), that does not hold on to the others."""
    part = vectors[row : row + 1]
    return part if isinstance(part, Sparse) else part.copy()


def stacked(rows: Sequence[Vectors]) -> Vectors:
    """Rows that `row_of` gave, at least one, as vectors again."""
    sparse = [row for row in rows if isinstance(row, Sparse)]
    return Sparse.joined(sparse) if sparse else np.concatenate([r for r in rows if _dense(r)])


def lengths_of(vectors: Vectors) -> npt.NDArray[np.float64]:
    """The Euclidean length of each row."""
    if isinstance(vectors, Sparse):
        return vectors.lengths()
    found: npt.NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return found


def _dense(row: Vectors) -> bool:
    return not isinstance(row, Sparse)


def _unpacked(data: bytes, rows: int, field: Field) -> npt.NDArray[Any]:
    if field.type == "FLOAT16_VECTOR":
        return np.frombuffer(data, "<f2").reshape(rows, -1).astype(np.float32)
    if field.type == "BFLOAT16_VECTOR":  # the upper half of a float32
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(rows, -1)
    return np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1)


def _upper_halves(vectors: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """As bfloat16, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(vectors, np.float32).view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (rounded >> 16).astype("<u2")

"""Stored vectors as arrays, and as a search takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.model.collection import Field

FLOAT_METRICS = ("COSINE", "IP", "L2")
BINARY_METRICS = ("HAMMING", "JACCARD")
DISTANCES = ("L2", *BINARY_METRICS)
"""Metrics by which a smaller score is nearer."""


def metrics_of(field: Field) -> tuple[str, ...]:
    """The metrics in which this tool can score vectors of a field; empty where in none."""
    if field.type == "FLOAT_VECTOR":
        return FLOAT_METRICS
    return BINARY_METRICS if field.type == "BINARY_VECTOR" else ()


def vectors_of(batch: pa.RecordBatch, field: str) -> npt.NDArray[Any]:
    """A column of vectors as an array, shape (rows, dimension); of binary ones the bits, 0 or 1."""
    column = batch.column(field)
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        data = b"".join(column.to_pylist())
        return np.unpackbits(np.frombuffer(data, np.uint8).reshape(len(column), width), axis=1)
    flat: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)


def wire_vectors(vectors: npt.NDArray[Any], field: Field) -> list[Any]:
    """Vectors as a search takes them: bits are packed into bytes."""
    if field.type == "BINARY_VECTOR":
        return [row.tobytes() for row in np.packbits(vectors.astype(np.uint8), axis=1)]
    found: list[Any] = vectors.tolist()
    return found

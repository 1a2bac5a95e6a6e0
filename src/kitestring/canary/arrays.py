"""Vectors as arrays: stored ones, those of a sign-off, and how near two are."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitestring.model.collection import Field

Vectors = npt.NDArray[np.float32]


def stored_vectors(column: pa.Array, field: Field) -> Vectors:
    """A column of float vectors as float32, shape (rows, dimension); a null is a row of NaN."""
    dim = field.dim or 0
    if field.type == "FLOAT_VECTOR":
        if column.null_count:
            nothing = [float("nan")] * dim
            return np.array([v or nothing for v in column.to_pylist()], np.float32)
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, np.float32).reshape(len(column), dim)
    width = 2 * dim
    data = b"".join(value or b"\xff" * width for value in column.to_pylist())  # ffff: NaN in both
    if field.type == "FLOAT16_VECTOR":
        return np.frombuffer(data, "<f2").reshape(-1, dim).astype(np.float32)
    bits = np.frombuffer(data, "<u2").astype(np.uint32) << 16  # bfloat16: a float32 cut in half
    return bits.view(np.float32).reshape(-1, dim)


def cosines(left: Vectors, right: Vectors) -> npt.NDArray[np.float64]:
    """The cosine of each pair of rows; -1 where one of them has no direction (zero, NaN)."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        found = np.einsum("ij,ij->i", a, b) / lengths
    result: npt.NDArray[np.float64] = np.where(np.isfinite(found), np.clip(found, -1, 1), -1.0)
    return result


def packed(vectors: Vectors) -> str:
    """An array as text for JSON."""
    return base64.b64encode(np.ascontiguousarray(vectors, "<f4").tobytes()).decode()


def unpacked(text: str, dimension: int) -> Vectors:
    """The array that `packed` gave, shape (rows, dimension).

    Raises:
        ValueError: the text is none of that dimension.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from None
    if dimension < 1 or len(data) % (4 * dimension):
        raise ValueError(f"{len(data)} bytes are no vectors of {dimension} dimensions")
    found: Any = np.frombuffer(data, "<f4").reshape(-1, dimension)
    return np.asarray(found, np.float32)

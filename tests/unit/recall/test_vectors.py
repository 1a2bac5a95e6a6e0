"""Vectors that are not float32: what is stored, what is asked with, and which are nearest."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field
from kitestring.recall.exact import ExactSearch
from kitestring.recall.sparse import Sparse
from kitestring.recall.vectors import (
    as_stored,
    lengths_of,
    metrics_of,
    row_of,
    stacked,
    vectors_of,
    wire_vectors,
)

HALF, BRAIN = Field("v", "FLOAT16_VECTOR", dim=4), Field("v", "BFLOAT16_VECTOR", dim=4)
SMALL, SPARSE = Field("v", "INT8_VECTOR", dim=4), Field("v", "SPARSE_FLOAT_VECTOR")
ROWS = np.random.default_rng(3).normal(size=(200, 4)).astype(np.float32)


def batch(field: Field, values: list[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values, arrow_type(field))], names=["v"])


def packed(row: dict[int, float]) -> bytes:
    return b"".join(struct.pack("<If", index, value) for index, value in row.items())


def dense(rows: list[dict[int, float]], width: int) -> Any:
    found = np.zeros((len(rows), width))
    for number, row in enumerate(rows):
        for index, value in row.items():
            found[number, index] = np.float32(value)
    return found


@pytest.mark.parametrize(("field", "bits"), [(HALF, 11), (BRAIN, 8)])
def test_half_floats_are_read_and_asked_with_their_own_precision(field: Field, bits: int) -> None:
    wire = wire_vectors(ROWS, field)
    stored = vectors_of(batch(field, wire), field)
    assert isinstance(stored, np.ndarray)
    assert np.abs(stored / ROWS - 1).max() <= 2.0**-bits
    assert wire_vectors(stored, field) == wire  # what is stored can be asked with as it is
    rounded = as_stored(ROWS, field)
    assert isinstance(rounded, np.ndarray)
    assert np.array_equal(rounded, stored)


def test_bfloat16_is_the_upper_half_rounded_to_even() -> None:
    # 1 + 2^-8 lies half way between 1 and 1 + 2^-7, and 1 + 3 * 2^-8 between that and the next
    given = np.array([[1.0, 1 + 2**-8, 1 + 3 * 2**-8, -2.5]], np.float32)
    assert wire_vectors(given, BRAIN) == [struct.pack("<4H", 0x3F80, 0x3F80, 0x3F82, 0xC020)]
    assert np.array_equal(as_stored(given, BRAIN), [[1.0, 1.0, 1.015625, -2.5]])


def test_small_whole_numbers() -> None:
    stored = vectors_of(batch(SMALL, [[1, -2, 127, -128]]), SMALL)
    assert isinstance(stored, np.ndarray)
    assert stored.tolist() == [[1, -2, 127, -128]]
    assert wire_vectors(stored, SMALL) == [struct.pack("<4b", 1, -2, 127, -128)]
    assert metrics_of(SMALL) == metrics_of(HALF) == ("COSINE", "IP", "L2")


def test_the_products_of_sparse_vectors_are_those_of_dense_ones() -> None:
    draw = np.random.default_rng(8)
    rows = [
        {int(i): float(draw.normal()) for i in draw.choice(50, draw.integers(0, 9), replace=False)}
        for _ in range(120)
    ]
    vectors = vectors_of(batch(SPARSE, [packed(r) for r in rows]), SPARSE)
    assert isinstance(vectors, Sparse)
    wide = dense(rows, 50)
    assert np.allclose(vectors[10:17].products(vectors), wide[10:17] @ wide.T)
    assert np.allclose(lengths_of(vectors), np.linalg.norm(wide, axis=1))
    assert [set(m) for m in wire_vectors(vectors, SPARSE)] == [set(r) for r in rows]
    again = stacked([row_of(vectors, n) for n in (5, 0, 119)])
    assert isinstance(again, Sparse)
    assert np.allclose(again.products(vectors), wide[[5, 0, 119]] @ wide.T)
    assert vectors[3:3].products(vectors).shape == (0, 120)


def test_the_nearest_sparse_rows_are_found_over_several_batches() -> None:
    draw = np.random.default_rng(9)
    rows = [{int(i): float(draw.random()) for i in draw.integers(0, 90, 12)} for _ in range(300)]
    vectors = Sparse.parsed(packed(r) for r in rows)
    wide = dense(rows, 90)
    wanted = np.argsort(-(wide[:4] @ wide.T), axis=1, kind="stable")[:, :5]
    exact = ExactSearch(vectors[0:4], 5, "IP", [list(map(int, w)) for w in wanted])
    for start in range(0, 300, 70):
        part = vectors[start : start + 70]
        exact.add(list(range(start, start + len(part))), part)
    for query in range(4):
        assert [key for key, _ in exact.neighbours(query)] == wanted[query].tolist()
        assert exact.recall(query, [int(k) for k in wanted[query]]) == 1.0
        assert exact.recall(query, [int(k) for k in wanted[query][:2]]) == 0.4


def test_sparse_vectors_have_no_other_metric() -> None:
    assert metrics_of(SPARSE) == ("IP",)
    with pytest.raises(ValueError, match="COSINE"):
        ExactSearch(Sparse.parsed([packed({1: 1.0})]), 1, "COSINE")


@pytest.mark.parametrize("field", [HALF, BRAIN])
@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_the_nearest_half_floats_are_those_of_what_is_stored(field: Field, metric: str) -> None:
    stored = vectors_of(batch(field, wire_vectors(ROWS, field)), field)
    assert isinstance(stored, np.ndarray)
    query = as_stored(ROWS[:3] + 0.01, field)
    exact = ExactSearch(query, 7, metric)
    exact.add(list(range(len(ROWS))), stored)
    plain = ExactSearch(query, 7, metric)
    plain.add(list(range(len(ROWS))), stored.astype(np.float64))
    assert exact.neighbours(0) == plain.neighbours(0)

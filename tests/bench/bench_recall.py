"""The exact search of a drill: how many vectors a second it scores, and what it needs for that."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kitestring.recall.exact import ExactSearch
from tests.bench.measure import Result, median_of, seconds_of

ROWS, DIMENSION, QUERIES, BATCH, K = 50_000, 384, 50, 8192, 10


def results() -> Iterator[Result]:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(ROWS, DIMENSION)).astype(np.float32)
    queries = generator.normal(size=(QUERIES, DIMENSION)).astype(np.float32)
    keys = [f"{i:032x}" for i in range(ROWS)]

    def streamed() -> None:
        exact = ExactSearch(queries, K, "COSINE")
        for start in range(0, ROWS, BATCH):
            exact.add(keys[start : start + BATCH], rows[start : start + BATCH])

    def at_once() -> None:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        np.argsort(-(queries @ unit.T), axis=1)[:, :K]

    value, runs = median_of(3, lambda: seconds_of(streamed))
    baseline, _ = median_of(3, lambda: seconds_of(at_once))
    yield Result(
        "exact-search",
        value,
        "s",
        runs,
        None,
        "float32 matrix product and a full sort, all rows in memory",
        baseline,
        {"rows": ROWS, "dimension": DIMENSION, "queries": QUERIES, "rows_per_s": ROWS / value},
    )

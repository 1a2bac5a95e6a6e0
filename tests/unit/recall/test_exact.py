"""Recall against exact search: the exact search, ties, the interval."""

from __future__ import annotations

import numpy as np
import pytest

from kitestring.recall.exact import ExactSearch, summarise


def vectors(rows: int, dim: int = 16, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def naive(query: np.ndarray, rows: np.ndarray, metric: str) -> list[int]:
    """Row numbers, nearest first, one row at a time."""
    if metric == "L2":
        score = [-float(np.sum((row.astype(float) - query) ** 2)) for row in rows]
    elif metric == "IP":
        score = [float(np.dot(row.astype(float), query)) for row in rows]
    else:
        score = [
            float(np.dot(row.astype(float), query) / np.linalg.norm(row) / np.linalg.norm(query))
            for row in rows
        ]
    return sorted(range(len(rows)), key=lambda i: -score[i])


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
@pytest.mark.parametrize("batch", [3, 64, 1000])
def test_batches_of_any_size_give_the_exact_neighbours(metric: str, batch: int) -> None:
    rows, queries = vectors(700), vectors(5, seed=2)
    exact = ExactSearch(queries, 10, metric)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        exact.add([f"k{start + i}" for i in range(len(part))], part)
    for q, query in enumerate(queries):
        wanted = [f"k{i}" for i in naive(query, rows, metric)[:10]]
        assert [key for key, _ in exact.neighbours(q)] == wanted


def test_recall_counts_the_answers_that_are_among_the_nearest() -> None:
    rows, queries = vectors(300), vectors(1, seed=2)
    order = naive(queries[0], rows, "COSINE")
    answers = [*order[:7], *order[200:203]]  # seven right, three far away
    exact = ExactSearch(queries, 10, "COSINE", [answers])
    exact.add(list(range(300)), rows)
    assert exact.recall(0, answers) == pytest.approx(0.7)


def test_a_tie_at_the_last_place_is_no_miss() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    rows = np.array([[1, 0], [0.6, 0.8], [0.6, 0.8], [0.6, -0.8], [0, 1]], dtype=np.float32)
    exact = ExactSearch(
        query,
        2,
        "COSINE",
        [
            ["a", "d"],
        ],
    )
    exact.add(["a", "b", "c", "d", "e"], rows)
    assert exact.recall(0, ["a", "d"]) == 1.0


def test_a_nearly_equal_score_is_a_miss_when_it_is_worse_than_rounding() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    rows = np.array([[1, 0], [0.6, 0.8], [0.599, 0.80075]], dtype=np.float32)
    exact = ExactSearch(query, 2, "IP", [["a", "c"]])
    exact.add(["a", "b", "c"], rows)
    assert exact.recall(0, ["a", "c"]) == 0.5


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_tolerance_grows_and_shrinks_with_the_vectors(scale: float) -> None:
    rows, queries = vectors(200) * scale, vectors(1, seed=2) * scale
    order = naive(queries[0], rows, "L2")
    far = order[50:60]
    exact = ExactSearch(queries, 10, "L2", [far])
    exact.add(list(range(200)), rows)
    assert exact.recall(0, far) == 0.0


def test_an_answer_given_twice_or_not_stored_is_worth_nothing() -> None:
    rows, queries = vectors(100), vectors(1, seed=2)
    best = naive(queries[0], rows, "COSINE")[0]
    answers = [best, best, "ghost", "ghost2"]
    exact = ExactSearch(queries, 4, "COSINE", [answers])
    exact.add(list(range(100)), rows)
    assert exact.recall(0, answers) == 0.25


def test_a_collection_smaller_than_k_has_full_recall_when_all_rows_are_found() -> None:
    exact = ExactSearch(vectors(1), 10, "L2", [[0, 1, 2]])
    exact.add([0, 1, 2], vectors(3, seed=2))
    assert exact.recall(0, [0, 1, 2]) == 1.0
    assert exact.recall(0, [0]) == pytest.approx(1 / 3)


def test_the_rows_that_queries_were_taken_from_are_left_out() -> None:
    rows = vectors(50)
    exact = ExactSearch(rows[:2], 3, "COSINE", [[0], [1]], exclude=[0, 1])
    exact.add(list(range(50)), rows)
    assert 0 not in [key for key, _ in exact.neighbours(0)]
    assert 0 in [key for key, _ in ExactSearchOf(rows, 3).neighbours(0)]
    assert exact.recall(0, [0]) == 0.0  # finding oneself is no merit


def ExactSearchOf(rows: np.ndarray, k: int) -> ExactSearch:  # noqa: N802
    exact = ExactSearch(rows[:1], k, "COSINE")
    exact.add(list(range(len(rows))), rows)
    return exact


def test_overlap_with_the_source_forgives_ties_and_counts_rows_that_are_gone() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    rows = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [0, 1]], dtype=np.float32)
    source = ["a", "c"]
    exact = ExactSearch(query, 2, "COSINE", [["a", "b", "c", "gone"]])
    exact.add(["a", "b", "c", "d"], rows)
    assert exact.overlap(0, ["a", "b"], source) == 1.0
    assert exact.overlap(0, ["a", "b"], ["a", "gone"]) == 0.5
    assert exact.overlap(0, [], source) == 0.0


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="SUBSTRUCTURE"):
        ExactSearch(vectors(1), 10, "SUBSTRUCTURE")


def test_the_interval_is_repeatable_holds_the_mean_and_tightens_with_queries() -> None:
    few = summarise(10, [1.0, 0.8, 0.9, 1.0, 0.7], "a")
    many = summarise(10, [1.0, 0.8, 0.9, 1.0, 0.7] * 40, "a")
    assert few == summarise(10, [1.0, 0.8, 0.9, 1.0, 0.7], "a")
    assert few.low <= few.mean <= few.high
    assert many.high - many.low < few.high - few.low
    assert few.mean == pytest.approx(0.88)
    assert few.against_source is None


def test_the_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    generator = np.random.default_rng(7)
    covered = 0
    for run in range(300):
        recalls = generator.binomial(10, 0.9, size=60) / 10
        found = summarise(10, list(recalls), str(run))
        covered += found.low <= 0.9 <= found.high
    assert 0.90 <= covered / 300 <= 0.99


def test_the_fifth_percentile_shows_the_worst_queries() -> None:
    found = summarise(10, [1.0] * 90 + [0.2] * 10, "a", [0.5, 1.0])
    assert found.p5 == pytest.approx(0.2)
    assert found.against_source == pytest.approx(0.75)

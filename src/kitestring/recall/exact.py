"""Recall of a collection against exact search over all of its vectors.

The truth is brute force: every stored vector is scored against every query, batch by batch, with
a running best k for each query, so memory does not grow with the collection. A row-sampled or
server-side exact set would not be the truth for a search over everything.

Scores are compared, not keys: an answer is right when its own exact score reaches the k-th exact
score within a tolerance, so a tie is no miss. The scores of answers are computed from the stored
vectors too; those that a server reports may be approximations (product quantisation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kitestring.model.drill import Recall
from kitestring.recall.sparse import Sparse
from kitestring.recall.vectors import Vectors, lengths_of

Key = str | int
Floats = npt.NDArray[np.float64]

METRICS = ("COSINE", "IP", "L2", "HAMMING", "JACCARD")
TOLERANCE = 1e-5  # of the largest possible score; float32 sums of products differ by less
RESAMPLES = 2000
_QUERY_BLOCK = 256  # queries scored at once: 256 x 8,192 scores are 16 MiB


class ExactSearch:
    """The best `k` stored vectors for each query, and the scores of watched keys.

    Larger scores are nearer, whatever the metric: distances are negated. Binary vectors come as
    their bits, 0 or 1; sparse ones have the metric IP only.

    Args:
        queries: shape (queries, dimension).
        k: neighbours wanted for each query.
        metric: COSINE, IP, L2 (squared, as Milvus has it), HAMMING or JACCARD.
        watched: for each query the keys whose exact scores are wanted.
        exclude: for each query a key that is no answer (the query's own row), or None.

    Raises:
        ValueError: another metric, or lengths that do not go together.
    """

    def __init__(
        self,
        queries: Vectors,
        k: int,
        metric: str,
        watched: Sequence[Sequence[Key]] | None = None,
        exclude: Sequence[Key | None] | None = None,
    ) -> None:
        if metric not in METRICS:
            raise ValueError(f"no exact search for the metric {metric}")
        count = len(queries)
        if any(x is not None and len(x) != count for x in (watched, exclude)):
            raise ValueError("`watched` and `exclude` need one entry for each query")
        self._metric = metric
        self._k = k
        if isinstance(queries, Sparse) and metric != "IP":
            raise ValueError(f"no exact search over sparse vectors for the metric {metric}")
        self._queries = _prepared(queries, metric)
        self._best: Floats = np.full((count, k), -np.inf)
        self._keys = np.full((count, k), None, dtype=object)
        self._exclude: dict[Key, list[int]] = {}
        for query, key in enumerate(exclude or ()):
            if key is not None:
                self._exclude.setdefault(key, []).append(query)
        self._watchers: dict[Key, list[int]] = {}
        for query, keys in enumerate(watched or ()):
            for key in dict.fromkeys(keys):
                self._watchers.setdefault(key, []).append(query)
        self.scores: list[dict[Key, float]] = [{} for _ in range(count)]
        self.rows = 0
        self._lengths = lengths_of(self._queries)
        self._longest = 0.0  # of the stored vectors

    def add(self, keys: Sequence[Key], vectors: Vectors) -> None:
        """Takes the vectors, shape (rows, dimension), of `keys`; in any order, each row once."""
        if not len(keys):
            return
        self.rows += len(keys)
        rows = _prepared(vectors, self._metric)
        longest = 1.0 if self._metric == "COSINE" else float(lengths_of(rows).max())
        self._longest = max(self._longest, longest)
        names = np.empty(len(keys), dtype=object)
        names[:] = list(keys)
        excluded = [(i, q) for i, key in enumerate(keys) for q in self._exclude.get(key, ())]
        watched = [(i, q) for i, key in enumerate(keys) for q in self._watchers.get(key, ())]
        for start in range(0, len(self._queries), _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, len(self._queries))
            scores = _scores(self._queries[start:stop], rows, self._metric)
            for i, query in excluded:
                if start <= query < stop:
                    scores[query - start, i] = -np.inf
            for i, query in watched:
                if start <= query < stop:
                    self.scores[query][names[i]] = float(scores[query - start, i])
            self._merge(start, stop, scores, names)

    def _merge(self, start: int, stop: int, scores: Floats, names: npt.NDArray[Any]) -> None:
        # few rows of a later batch are nearer than the k best so far: the others are left alone
        nearer = np.flatnonzero((scores > self._best[start:stop, -1:]).any(axis=0))
        if not len(nearer):
            return
        scores, names = scores[:, nearer], names[nearer]
        if scores.shape[1] > self._k:  # the batch's own best k are enough
            top = np.argpartition(-scores, self._k - 1, axis=1)[:, : self._k]
            scores, candidates = np.take_along_axis(scores, top, axis=1), names[top]
        else:
            candidates = np.broadcast_to(names, scores.shape)
        scores = np.concatenate([self._best[start:stop], scores], axis=1)
        candidates = np.concatenate([self._keys[start:stop], candidates], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._k]
        self._best[start:stop] = np.take_along_axis(scores, order, axis=1)
        self._keys[start:stop] = np.take_along_axis(candidates, order, axis=1)

    def neighbours(self, query: int) -> list[tuple[Key, float]]:
        """The best keys of a query and their scores, best first; fewer than k in a small set."""
        pairs = zip(self._keys[query], self._best[query], strict=True)
        return [(key, float(score)) for key, score in pairs if np.isfinite(score)]

    def recall(self, query: int, answers: Sequence[Key]) -> float:
        """The part of the best k that `answers` (watched keys) found; 1.0 where there is none."""
        truth = self.neighbours(query)
        if not truth:
            return 1.0
        worst = truth[-1][1]
        scores = self.scores[query]
        excluded = {key for key, queries in self._exclude.items() if query in queries}
        found = [k for k in dict.fromkeys(answers) if k in scores and k not in excluded]
        right = sum(scores[key] >= worst - self.tolerance(query) for key in found[: self._k])
        return min(1.0, right / len(truth))

    def overlap(self, query: int, answers: Sequence[Key], others: Sequence[Key]) -> float:
        """The part of `others` that is in `answers` too, or ties with the last of them."""
        scores = self.scores[query]
        mine = [key for key in answers if key in scores]
        wanted = list(dict.fromkeys(others))
        if not wanted:
            return 1.0 if not mine else 0.0
        if not mine:
            return 0.0
        last = min(scores[key] for key in mine)
        same = sum(
            key in mine or (key in scores and abs(scores[key] - last) <= self.tolerance(query))
            for key in wanted
        )
        return same / len(wanted)

    def tolerance(self, query: int) -> float:
        """How far apart two equal scores may be computed."""
        length = float(self._lengths[query])
        if self._metric in ("HAMMING", "JACCARD"):
            return TOLERANCE  # counts of bits, and their ratios
        if self._metric == "L2":
            return TOLERANCE * (length**2 + self._longest**2)
        return TOLERANCE * length * self._longest


def summarise(
    k: int, recalls: Sequence[float], seed: str, overlaps: Sequence[float] | None = None
) -> Recall:
    """Mean recall with its 95% bootstrap interval, and the 5th percentile over the queries.

    The interval is the percentile interval of Efron and Tibshirani, An Introduction to the
    Bootstrap (1993), chapter 13: 2,000 resamples of the queries with replacement, from a generator
    that `seed` fixes, so that a record can be computed again.

    Raises:
        ValueError: there is no query.
    """
    if not recalls:
        raise ValueError("recall of no query")
    values = np.asarray(recalls, dtype=np.float64)
    digest = hashlib.sha256(seed.encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    drawn = generator.integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return Recall(
        k=k,
        queries=len(values),
        mean=float(values.mean()),
        low=float(low),
        high=float(high),
        p5=float(np.percentile(values, 5)),
        against_source=float(np.mean(overlaps)) if overlaps else None,
    )


def _prepared(given: Vectors, metric: str) -> Vectors:
    if isinstance(given, Sparse):
        return given
    if metric != "COSINE":
        return np.asarray(given, dtype=np.float64)
    squares = np.einsum("ij,ij->i", given, given, dtype=np.float64)
    squares[squares == 0] = 1.0  # a zero vector is equally far from everything
    scaled: Floats = np.divide(given, np.sqrt(squares)[:, None], dtype=np.float64)
    return scaled


def _scores(queries: Vectors, rows: Vectors, metric: str) -> Floats:
    if isinstance(queries, Sparse) or isinstance(rows, Sparse):
        if not (isinstance(queries, Sparse) and isinstance(rows, Sparse)):
            raise ValueError("sparse vectors are compared with sparse ones only")
        return queries.products(rows)
    products: Floats = queries @ rows.T
    if metric in ("COSINE", "IP"):
        return products
    squares = np.einsum("ij,ij->i", rows, rows)[None, :]
    own = np.einsum("ij,ij->i", queries, queries)[:, None]
    if metric == "JACCARD":  # bits in common against bits in either; two without any are equal
        either = squares + own - products
        alike: Floats = np.where(either > 0, products / np.maximum(either, 1.0), 1.0) - 1.0
        return alike
    # of bits, the squared distance is the number of those that differ
    nearness: Floats = np.minimum(2 * products - squares - own, 0.0)
    return nearness

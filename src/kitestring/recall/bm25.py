"""BM25 over a stream of texts, for queries that are known beforehand, and fusion of rankings.

BM25 as Robertson and Zaragoza give it, "The Probabilistic Relevance Framework: BM25 and Beyond"
(2009), with the idf of Lucene that is never negative, k1 = 1.2 and b = 0.75. Reciprocal rank
fusion with k = 60: Cormack, Clarke and Buettcher, SIGIR 2009. Servers from 2.5 on compute BM25
themselves; this is for any server, and for texts that have no sparse field.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

K1, B = 1.2, 0.75
RRF_K = 60
_WORD = re.compile(r"\w+")

T = TypeVar("T", bound=Hashable)


def words(text: str) -> list[str]:
    """The words of a text in lower case; letters and digits of any script."""
    return _WORD.findall(text.lower())


class Bm25:
    """Takes every text once, keeps of each only the words of the queries, then ranks."""

    def __init__(self, queries: Sequence[str]) -> None:
        self._queries = [tuple(dict.fromkeys(words(query))) for query in queries]
        self._asked = {word for query in self._queries for word in query}
        self._postings: dict[str, list[tuple[int, int]]] = {word: [] for word in self._asked}
        self._keys: list[Hashable] = []
        self._lengths: list[int] = []

    def add(self, key: Hashable, text: str) -> None:
        found = words(text)
        position = len(self._keys)
        self._keys.append(key)
        self._lengths.append(len(found))
        for word, count in Counter(w for w in found if w in self._asked).items():
            self._postings[word].append((position, count))

    def rank(self, query: int, limit: int) -> list[Hashable]:
        """The keys of the best texts for a query, best first; none that share no word with it."""
        texts = len(self._keys)
        mean = sum(self._lengths) / texts if texts else 0.0
        scores: dict[int, float] = {}
        for word in self._queries[query]:
            there = self._postings[word]
            idf = math.log(1 + (texts - len(there) + 0.5) / (len(there) + 0.5))
            for position, count in there:
                size = 1 - B + B * self._lengths[position] / mean
                gain = idf * count * (K1 + 1) / (count + K1 * size)
                scores[position] = scores.get(position, 0.0) + gain
        best = sorted(scores, key=lambda position: (-scores[position], position))
        return [self._keys[position] for position in best[:limit]]


def fuse(rankings: Sequence[Sequence[T]], limit: int) -> list[T]:
    """One ranking of several, by the sum of 1 / (60 + rank); ranks count from 1."""
    scores: dict[T, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(dict.fromkeys(ranking), 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores, key=lambda key: -scores[key])[:limit]

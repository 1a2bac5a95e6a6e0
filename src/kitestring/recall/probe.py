"""Questions put to a collection, and what its answers are worth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import Field, Index, Schema
from kitestring.model.drill import Recall
from kitestring.model.murmur import hash_column
from kitestring.recall.exact import ExactSearch, Key, summarise
from kitestring.recall.vectors import (
    Vectors,
    as_stored,
    metrics_of,
    row_of,
    stacked,
    vectors_of,
    wire_vectors,
)

SAMPLE = 50  # stored vectors taken as queries where there are no golden ones
# what a search needs at least, where the spec has no search parameters
_DEFAULT_PARAMS: Mapping[str, Mapping[str, int]] = {"HNSW": {"ef": 128}, "IVF_FLAT": {"nprobe": 32}}


@dataclass(frozen=True, slots=True)
class Probe:
    """How to ask a collection: the vector field, its index, the search parameters, k."""

    field: Field
    index: Index
    params: Mapping[str, Any]
    k: int

    def params_for(self, limit: int) -> dict[str, Any]:
        """The search parameters for `limit` answers: HNSW refuses an `ef` below it."""
        params = dict(self.params)
        if self.index.type == "HNSW":
            params["ef"] = max(int(params.get("ef", 0)), limit)
        return params


@dataclass(frozen=True, slots=True)
class Queries:
    """Vectors to ask with. `own` are the keys of the rows that they were taken from, or None."""

    vectors: Vectors  # shape (queries, dimension)
    own: tuple[Key | None, ...]
    source: str  # in words: `40 golden queries`

    def __len__(self) -> int:
        return len(self.vectors)


def probe_for(
    schema: Schema,
    indexes: Iterable[Index],
    field: str | None,
    params: Mapping[str, Any] | None,
    k: int,
) -> Probe | str:
    """How to ask the collection, or in words why recall can't be measured.

    Args:
        field: the vector field that the spec names; None for the first one.
        params: the search parameters of the spec; None for defaults by index type.
    """
    vectors = schema.vectors
    chosen = schema.field(field) if field else (vectors[0] if vectors else None)
    if chosen is None or not chosen.is_vector:
        return "no vector field"
    metrics = metrics_of(chosen)
    if not metrics:
        return f"no exact search over {chosen.type}"
    index = next((i for i in indexes if i.field == chosen.name), None)
    if index is None:
        return f"no index on `{chosen.name}`"
    if index.metric not in metrics:
        return f"no exact search for the metric {index.metric or 'none'}"
    if params is None:
        params = _DEFAULT_PARAMS.get(index.type, {})
    return Probe(chosen, index, params, k)


class SmallestKeys:
    """The `size` keys whose hashes are smallest: the same ones in whatever order they come.

    The keys alone are read for it; a `KeySample` takes the vectors along.
    """

    def __init__(self, size: int, seed: str) -> None:
        self._size = size
        self._seed = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
        self._hashes = np.empty(0, np.uint64)
        self.keys: list[Key] = []  # the smallest hash first

    def add(self, keys: pa.Array) -> None:
        hashes = hash_column(keys, self._seed)[:, 0]
        if len(self.keys) == self._size:
            near = np.flatnonzero(hashes < self._hashes[-1])
            keys, hashes = keys.take(pa.array(near)), hashes[near]
        hashes = np.concatenate([self._hashes, hashes])
        kept = np.argsort(hashes, kind="stable")[: self._size]
        had = len(self.keys)
        new = keys.take(pa.array(kept[kept >= had] - had)).to_pylist()
        fresh = iter(new)
        self.keys = [self.keys[int(i)] if i < had else next(fresh) for i in kept]
        self._hashes = hashes[kept]


class KeySample:
    """The `size` rows whose hashed keys are smallest: the same rows in whatever order they come."""

    def __init__(self, size: int, seed: str, key: str, field: Field) -> None:
        self._size, self._seed, self._key, self._field = size, seed.encode(), key, field
        self._kept: list[tuple[bytes, Key, Vectors]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        vectors = vectors_of(batch, self._field)
        for row, key in enumerate(batch.column(self._key).to_pylist()):
            rank = hashlib.blake2b(str(key).encode(), digest_size=16, key=self._seed[:64]).digest()
            if len(self._kept) < self._size or rank < self._kept[-1][0]:
                self._kept.append((rank, key, row_of(vectors, row)))
                self._kept.sort(key=lambda kept: kept[0])
                del self._kept[self._size :]

    def queries(self) -> Queries | None:
        """The rows' vectors as queries; None where there are none."""
        if not self._kept:
            return None
        return Queries(
            stacked([vector for _, _, vector in self._kept]),
            tuple(key for _, key, _ in self._kept),
            f"{len(self._kept)} stored vectors as queries, their own rows left out",
        )


class RecallProbe:
    """Asks the index first, then takes every stored row, then has the recall.

    The answers of the index (and of the source) are asked for at construction; their exact
    scores are picked up while `add` takes the rows.
    """

    def __init__(
        self,
        target: Milvus,
        name: str,
        probe: Probe,
        queries: Queries,
        source_answers: list[list[Key]] | None = None,
    ) -> None:
        self._probe, self._queries = probe, queries
        self.answers = answers(target, name, probe, queries)
        self.source_answers = source_answers
        watched = [list(mine) for mine in self.answers]
        for mine, theirs in zip(watched, self.source_answers or [], strict=False):
            mine.extend(theirs)
        self._exact = ExactSearch(
            as_stored(queries.vectors, probe.field),
            probe.k,
            probe.index.metric,
            watched,
            queries.own,
        )

    def add(self, batch: pa.RecordBatch, key: str) -> None:
        self._exact.add(batch.column(key).to_pylist(), vectors_of(batch, self._probe.field))

    def result(self, seed: str) -> Recall:
        """The recall; see `kitestring.recall.exact.summarise`."""
        recalls = [self._exact.recall(q, found) for q, found in enumerate(self.answers)]
        overlaps = None
        if self.source_answers is not None:
            overlaps = [
                self._exact.overlap(q, self.answers[q], theirs)
                for q, theirs in enumerate(self.source_answers)
            ]
        return summarise(self._probe.k, recalls, seed, overlaps)


def answers(server: Milvus, name: str, probe: Probe, queries: Queries) -> list[list[Key]]:
    """The keys that the server's index finds for each query, best first, own rows left out."""
    extra = int(any(key is not None for key in queries.own))
    limit = probe.k + extra
    found = server.search(
        name,
        wire_vectors(queries.vectors, probe.field),
        limit=limit,
        field=probe.field.name,
        params=probe.params_for(limit),
    )
    return [
        [hit.key for hit in hits if own is None or hit.key != own][: probe.k]
        for hits, own in zip(found, queries.own, strict=True)
    ]

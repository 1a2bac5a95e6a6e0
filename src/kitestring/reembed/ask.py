"""Questions put to both collections: the golden queries, or stored rows where there are none."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import EmbedderFailed, SecretMissing
from kitestring.ingest.golden import GoldenQuery, load_golden
from kitestring.model.collection import CollectionInfo
from kitestring.recall.exact import ExactSearch, Key
from kitestring.recall.probe import SAMPLE, Probe, Queries, answers, probe_for
from kitestring.recall.vectors import (
    Vectors,
    as_stored,
    row_of,
    stacked,
    vectors_of,
    wire_vectors,
)
from kitestring.reembed.columns import Columns
from kitestring.reembed.journal import Journal
from kitestring.reembed.refuse import Change
from kitestring.reembed.rows import by_keys
from kitestring.spec.loaded import LoadedSpec

WARM, TIMED = 5, 40  # searches of each collection


@dataclass(frozen=True, slots=True)
class Questions:
    """The same questions as vectors of the old and of the new model."""

    old: Queries
    new: Queries
    golden: tuple[GoldenQuery, ...] = ()


def questions(
    loaded: LoadedSpec,
    milvus: Milvus,
    change: Change,
    embedder: Embedder,
    infos: tuple[CollectionInfo, CollectionInfo],
    columns: Columns,
    journal: Journal,
) -> Questions | str:
    """The golden queries of the spec; stored rows, their own left out, where it names none.

    Returns in words why there are none.

    Raises:
        GoldenInvalid: the file of golden queries has errors.
    """
    golden = load_golden(loaded.resolve(change.wanted.golden)) if change.wanted.golden else ()
    if not golden:
        return _stored(milvus, infos, columns, journal)
    try:
        with closing(make_embedder(loaded, change.model_from)) as before:
            old = np.stack([before.embed_query(g.query) for g in golden])
    except (EmbedderFailed, SecretMissing) as error:
        return f"the old model does not answer: {error.message}"
    new = np.stack([embedder.embed_query(g.query) for g in golden])
    own, source = (None,) * len(golden), f"{len(golden)} golden queries"
    return Questions(Queries(old, own, source), Queries(new, own, source), golden)


def _stored(
    milvus: Milvus,
    infos: tuple[CollectionInfo, CollectionInfo],
    columns: Columns,
    journal: Journal,
) -> Questions | str:
    keys = journal.sample(SAMPLE)
    if len(keys) < 2:
        return "there are no rows to ask with"
    found: list[dict[Key, Vectors]] = []
    for info in infos:
        vectors: dict[Key, Vectors] = {}
        (field,) = (f for f in info.schema.fields if f.name == columns.vector)
        for batch, _ in by_keys(milvus, info, [columns.key, columns.vector], keys):
            taken = vectors_of(batch, field)
            some = batch.column(columns.key).to_pylist()
            vectors |= {key: row_of(taken, number) for number, key in enumerate(some)}
        found.append(vectors)
    both = [key for key in keys if key in found[0] and key in found[1]]
    if not both:
        return "rows that were to be asked with are gone"
    source = f"{len(both)} stored rows as queries, their own left out"
    old, new = (Queries(stacked([v[k] for k in both]), tuple(both), source) for v in found)
    return Questions(old, new)


class Asked:
    """One collection, asked by its index, and by exact search over the rows that `add` takes."""

    def __init__(
        self, milvus: Milvus, info: CollectionInfo, probe: Probe, queries: Queries
    ) -> None:
        self.probe, self.queries, self.name = probe, queries, info.name
        self.answers = answers(milvus, info.name, probe, queries)
        self.restart()

    def restart(self) -> None:
        """Forgets the rows taken so far."""
        queries, probe = self.queries, self.probe
        self._exact = ExactSearch(
            as_stored(queries.vectors, probe.field),
            probe.k,
            probe.index.metric,
            self.answers,
            queries.own,
        )

    def add(self, batch: pa.RecordBatch, key: str) -> None:
        self._exact.add(batch.column(key).to_pylist(), vectors_of(batch, self.probe.field))

    def recalls(self) -> list[float]:
        """recall@k of the index, for each question."""
        return [self._exact.recall(q, found) for q, found in enumerate(self.answers)]

    def neighbours(self, query: int) -> set[Key]:
        """The keys of the exact answers to a question."""
        return {key for key, _ in self._exact.neighbours(query)}


def overlaps(old: Asked, new: Asked) -> list[float]:
    """For each question the share of the old model's exact answers that the new model has too."""
    found = []
    for query in range(len(old.queries)):
        before = old.neighbours(query)
        found.append(len(before & new.neighbours(query)) / len(before) if before else 1.0)
    return found


def hit_rate(
    milvus: Milvus, asked: Asked, columns: Columns, golden: Sequence[GoldenQuery]
) -> float:
    """The share of golden queries for which the index finds one of their relevant documents."""
    keys = list({key for found in asked.answers for key in found})
    documents, doc_id = {}, str(columns.doc_id)
    for start in range(0, len(keys), 500):
        for row in milvus.get(asked.name, keys[start : start + 500], [columns.key, doc_id]):
            documents[row[columns.key]] = str(row[doc_id])
    hits = [
        any(documents.get(key) in query.relevant for key in found)
        for query, found in zip(golden, asked.answers, strict=True)
    ]
    return sum(hits) / len(hits)


def medians(milvus: Milvus, old: Asked, new: Asked) -> tuple[float, float]:
    """Seconds of a search of the old and of the new collection: medians, asked in turns."""
    times: dict[str, list[float]] = {old.name: [], new.name: []}
    asked = [wire_vectors(one.queries.vectors, one.probe.field) for one in (old, new)]
    for one, wire in zip((old, new), asked, strict=True):
        for vector in islice(cycle(wire), WARM):
            _search(milvus, one, vector)
    pairs = zip(*asked, strict=True)
    for vectors in islice(cycle(list(pairs)), TIMED):
        for one, vector in zip((old, new), vectors, strict=True):
            start = time.perf_counter()
            _search(milvus, one, vector)
            times[one.name].append(time.perf_counter() - start)
    return statistics.median(times[old.name]), statistics.median(times[new.name])


def probe_of(loaded: LoadedSpec, change: Change, info: CollectionInfo, rows: int) -> Probe | str:
    """How a collection is asked: as the spec's clients do, for k answers."""
    wanted, objectives = change.wanted, loaded.spec.objectives
    k = objectives.recall.k if objectives else wanted.search.top_k
    indexes = [state.index for state in info.indexes]
    params = wanted.search.params or None
    return probe_for(info.schema, indexes, wanted.fields.vector, params, max(1, min(k, rows)))


def _search(milvus: Milvus, one: Asked, vector: Any) -> None:
    milvus.search(
        one.name,
        [vector],
        limit=one.probe.k,
        field=one.probe.field.name,
        params=one.probe.params_for(one.probe.k),
        strong=False,
    )

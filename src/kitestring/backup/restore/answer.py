"""The first right answer of a restored collection: what an outage ends with."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import KitestringError
from kitestring.model.backup import CollectionBackup
from kitestring.model.collection import Field, Index
from kitestring.recall.vectors import (
    DISTANCES,
    lengths_of,
    metrics_of,
    row_of,
    vectors_of,
    wire_vectors,
)

_K = 10
_ROWS = 16  # stored vectors that are looked at for one that is not zero
_POLL = 0.05  # seconds between two attempts
_TOLERANCE = 1e-4  # of a server's own score, float32
# what a search needs at least
_PARAMS: Mapping[str, Mapping[str, int]] = {"HNSW": {"ef": 64}, "IVF_FLAT": {"nprobe": 32}}


@dataclass(frozen=True, slots=True)
class Question:
    """A vector field that a stored vector can be asked of, and its index."""

    field: Field
    index: Index


def question_for(backup: CollectionBackup) -> Question | None:
    """The first vector field with an index whose answers can be judged; None without one."""
    for field in backup.schema.vectors:
        for index in backup.indexes:
            if index.field == field.name and index.metric in metrics_of(field):
                return Question(field, index)
    return None


def first_answer(milvus: Milvus, name: str, backup: CollectionBackup, timeout: float) -> bool:
    """Waits until a stored vector finds its own row, `timeout` seconds at most.

    Loading says that the rows are there; an answer proves it. Where no vector can be asked, or
    there is no row, the count that was right before is the answer.
    """
    question = question_for(backup)
    if question is None or not backup.digest.rows:
        return True
    start = time.monotonic()
    while True:
        try:
            if _answers(milvus, name, backup.schema.primary.name, question):
                return True
        except KitestringError:
            if time.monotonic() - start > timeout:
                raise
        if time.monotonic() - start > timeout:
            return False
        time.sleep(_POLL)


def _answers(milvus: Milvus, name: str, key: str, question: Question) -> bool:
    field = question.field.name
    batch = next(iter(milvus.scan(name, [key, field], batch_rows=_ROWS)), None)
    if batch is None:
        return False
    vectors = vectors_of(batch, question.field)
    lengths = lengths_of(vectors)
    row = next((i for i, length in enumerate(lengths) if length), None)
    if row is None:
        return True  # zero vectors are equally far from everything
    hits = milvus.search(
        name,
        wire_vectors(row_of(vectors, row), question.field),
        limit=_K,
        field=field,
        params=_PARAMS.get(question.index.type, {}),
    )[0]
    if any(hit.key == batch.column(key)[row].as_py() for hit in hits):
        return True
    # rows with the same vector may be more than k: then the best score is the row's own
    return bool(hits) and _is_own(hits[0].score, float(lengths[row]) ** 2, question.index.metric)


def _is_own(score: float, length: float, metric: str) -> bool:
    """Whether a score is that of a vector of that squared length with itself."""
    slack = _TOLERANCE * max(1.0, length)
    if metric in DISTANCES:
        return score <= slack
    return score >= {"COSINE": 1.0, "IP": length}[metric] - slack

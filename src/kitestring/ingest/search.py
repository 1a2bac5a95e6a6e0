"""Finds the passages that answer a question."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Hit, Milvus
from kitestring.clients.resolve import resolve
from kitestring.errors import CollectionUnfit, DimensionMismatch, UsageError
from kitestring.ingest.run import collection_to_write
from kitestring.model.collection import CollectionInfo, Field
from kitestring.model.ingest import Parent, Passage, SearchReport
from kitestring.spec.crosscheck_ingest import PARENT_FIELDS
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec

_CHILDREN = 4  # passages asked for, for each parent wanted
_MOST = 16384  # what Milvus answers to one question at most
_SMALLER_IS_NEARER = frozenset(("L2", "HAMMING", "JACCARD"))


def search(
    loaded: LoadedSpec,
    milvus: Milvus,
    collection_name: str,
    question: str,
    *,
    limit: int | None = None,
    parents: bool = False,
    embedder: Embedder | None = None,
) -> SearchReport:
    """The passages nearest to a question, by the model and search parameters of the spec.

    An alias is searched as an alias: wherever the server has it point to.

    Args:
        parents: one passage for each parent, the nearest (`parent-child` chunking).

    Raises:
        UsageError: the question is empty, the spec does not know the collection, or its passages
            have no parents.
        CollectionUnfit, DimensionMismatch: the collection does not fit the spec's model.
        MilvusError, EmbedderFailed, SecretMissing.
    """
    start = time.perf_counter()
    if not question.strip():
        raise UsageError("the question is empty", hint="kitestring search 'how do I …'")
    wanted, model = collection_to_write(loaded, collection_name)
    if embedder is None and loaded.registry.family_of(wanted.name) is not None:
        served = resolve(collection_name, spec=loaded, milvus=milvus)
        collection_name, embedder = served.collection, served.embedder()
    with closing(embedder or make_embedder(loaded, model)) as embed:
        vector = embed.embed_query(question)
        label = embed.label
    info = milvus.describe(collection_name)
    field = _vector_field(info, wanted, label, len(vector))
    has_parents = wanted.chunking is not None and wanted.chunking.strategy == "parent-child"
    if parents and not has_parents:
        raise UsageError(
            f"the passages of `{wanted.name}` have no parents",
            hint="leave out `--parents`; `chunking: {strategy: parent-child, …}` makes them",
        )
    columns = _columns(wanted, info.schema.field)
    if has_parents:
        columns |= {name: name for name in PARENT_FIELDS}
    wanted_passages = limit or wanted.search.top_k
    hits = milvus.search(
        collection_name,
        [vector.tolist()],
        limit=min(wanted_passages * _CHILDREN, _MOST) if parents else wanted_passages,
        field=field.name,
        params=wanted.search.params,
        columns=list(columns.values()),
    )[0]
    metric = next((s.index.metric for s in info.indexes if s.index.field == field.name), "")
    confidence = wanted.search.confidence
    passages = [_passage(hit, columns, metric, confidence) for hit in hits]
    if parents:
        passages = _nearest_of_each_parent(passages)
    return SearchReport(
        question=question,
        collection=info.name,
        model=label,
        metric=metric,
        confidence=confidence,
        passages=tuple(passages[:wanted_passages]),
        seconds=time.perf_counter() - start,
    )


def _vector_field(info: CollectionInfo, wanted: CollectionSpec, label: str, dim: int) -> Field:
    """The field to search with a vector of `dim` dimensions that the model `label` gave."""
    field = info.schema.field(wanted.fields.vector)
    if field is None:
        raise CollectionUnfit(
            f"`{info.name}` has no field `{wanted.fields.vector}`",
            hint="correct `fields.vector` in the spec",
            subject=info.name,
        )
    if field.dim != dim:
        raise DimensionMismatch(
            f"`{info.name}` holds vectors of {field.dim} dimensions; the model `{label}` gives "
            f"{dim}",
            hint="name the model that made the collection's vectors",
            subject=info.name,
        )
    return field


def _nearest_of_each_parent(passages: list[Passage]) -> list[Passage]:
    """Of passages by their nearness, the first of each parent."""
    nearest = {p.parent.id if p.parent else p.key: p for p in reversed(passages)}
    return [p for p in passages if nearest[p.parent.id if p.parent else p.key] is p]


def is_confident(score: float, metric: str, confidence: float) -> bool:
    """Whether a score passes: at least `confidence`, or at most where smaller is nearer."""
    return score <= confidence if metric in _SMALLER_IS_NEARER else score >= confidence


def _columns(wanted: CollectionSpec, known: Callable[[str], Any]) -> dict[str, str]:
    """role -> field, for the roles that the collection really has a field for."""
    roles = ("doc_id", "chunk_index", "text", "embedding_model")
    named = {role: getattr(wanted.fields, role) for role in roles}
    return {role: name for role, name in named.items() if name and known(name)}


def _passage(hit: Hit, columns: dict[str, str], metric: str, confidence: float | None) -> Passage:
    value = {role: hit.fields.get(name) for role, name in columns.items()}
    index = value.get("chunk_index")
    return Passage(
        score=hit.score,
        key=str(hit.key),
        doc_id=value.get("doc_id"),
        chunk_index=None if index is None else int(index),
        text=value.get("text"),
        embedding_model=value.get("embedding_model"),
        confident=None if confidence is None else is_confident(hit.score, metric, confidence),
        parent=_parent([value.get(name) for name in PARENT_FIELDS]),
    )


def _parent(values: list[Any]) -> Parent | None:
    """From the values of `PARENT_FIELDS`; a row of another chunker has none."""
    if any(value is None for value in values):
        return None
    return Parent(str(values[0]), int(values[1]), int(values[2]), str(values[3]))

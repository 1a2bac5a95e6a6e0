"""Asks the golden queries, by the vectors alone and with BM25, and compares with what is right."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kitestring.clients.milvus.filters import literal
from kitestring.clients.milvus.protocol import Hit, Milvus
from kitestring.errors import CollectionNotLoaded, KitestringError
from kitestring.ingest.golden import GoldenQuery
from kitestring.ingest.search import is_confident
from kitestring.model.collection import CollectionInfo
from kitestring.model.retrieval import Calibration, Gone, Interval, RetrievalSeen
from kitestring.model.snapshot import Snapshot
from kitestring.observe import calibration as calibrations
from kitestring.observe.golden import golden_vectors, read_golden
from kitestring.recall.bm25 import Bm25, fuse
from kitestring.recall.exact import summarise
from kitestring.recall.probe import probe_for
from kitestring.recall.vectors import DISTANCES, wire_vectors
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.spec.proofs import RetrievalProof

_DEPTH = 100  # passages of each ranking that are fused


@dataclass(frozen=True, slots=True)
class Asked:
    """Golden queries with a relevant document that is there, and the server's answers."""

    golden: tuple[GoldenQuery, ...]
    gone: tuple[Gone, ...]
    answers: list[list[Hit]]
    metric: str
    doc_field: str

    def right(self, query: int, hit: Hit) -> bool:
        return str(hit.fields.get(self.doc_field)) in self.golden[query].relevant


def probe_retrieval(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds how well the golden queries are answered, for the collections whose spec wants it.

    Raises:
        GoldenInvalid: a file of golden queries has errors.
        MilvusError: the server could not be asked.
    """
    collections = dict(snapshot.collections)
    for spec in loaded.spec.collections:
        seen = collections.get(spec.name)
        if spec.retrieval is not None and seen is not None:
            start = time.monotonic()
            found = _seen(loaded, milvus, spec, spec.retrieval, seen.info)
            found = replace(found, seconds=time.monotonic() - start)
            collections[spec.name] = replace(seen, retrieval=found)
    return replace(snapshot, collections=collections)


def calibrate(loaded: LoadedSpec, milvus: Milvus, spec: CollectionSpec) -> tuple[Calibration, Path]:
    """Finds the score from which on best answers are right often enough, and keeps it.

    Raises:
        CalibrationFailed: the collection can't be asked, or no score will do.
        GoldenInvalid, MilvusError, StoreError.
    """
    info = milvus.describe(spec.name)
    asked = ask(loaded, milvus, spec, info)
    if isinstance(asked, str):
        raise calibrations.refuse(spec.name, asked)
    wanted = (spec.retrieval or RetrievalProof()).precision
    best = [(q, hits[0]) for q, hits in enumerate(asked.answers) if hits]
    found = calibrations.threshold(
        [hit.score for _, hit in best],
        [asked.right(q, hit) for q, hit in best],
        wanted,
        smaller=asked.metric in DISTANCES,
    )
    if found is None:
        raise calibrations.refuse(
            spec.name, f"at no score are {wanted:.0%} of the best answers right"
        )
    score, precision, share = found
    made = Calibration(
        collection=spec.name,
        model=spec.model or "",
        metric=asked.metric,
        score=score,
        precision=precision,
        coverage=share * len(best) / len(asked.golden),
        wanted=wanted,
        queries=len(asked.golden),
        golden=calibrations.golden_digest(loaded, spec),
        made_at=int(time.time() * 1000),
    )
    return made, calibrations.save(loaded, made)


def ask(
    loaded: LoadedSpec, milvus: Milvus, spec: CollectionSpec, info: CollectionInfo
) -> Asked | str:
    """Asks the golden queries, or says in words why they can't be asked."""
    if not info.loaded:
        return "the collection is not loaded"
    field = spec.fields.doc_id
    if field is None or info.schema.field(field) is None:
        return f"the collection has no field `{field or 'doc_id'}`"
    indexes = [state.index for state in info.indexes]
    how = probe_for(
        info.schema, indexes, spec.fields.vector, spec.search.params or None, spec.search.top_k
    )
    if isinstance(how, str):
        return how
    golden = read_golden(loaded, spec)
    try:
        present = _documents(milvus, info, field, golden)
        gone = tuple(_gone(golden, present))
        asked = tuple(g for g in golden if any(doc in present for doc in g.relevant))
        if not asked:
            return "no relevant document of the golden queries is in the collection"
        vectors = golden_vectors(loaded, spec, info.schema, asked).vectors
        fused = spec.retrieval is not None and spec.retrieval.hybrid
        depth = max(_DEPTH if fused else 1, spec.search.top_k)
        answers = milvus.search(
            info.name,
            wire_vectors(vectors, how.field),
            limit=depth,
            field=how.field.name,
            params=how.params_for(depth),
            columns=[field],
        )
    except CollectionNotLoaded:
        return "the collection was released while it was asked"
    except KitestringError as error:
        if error.code.startswith(("ingest.golden", "milvus.")):
            raise
        return f"golden queries could not be asked: {error.message}"
    return Asked(asked, gone, answers, how.index.metric, field)


def _seen(
    loaded: LoadedSpec,
    milvus: Milvus,
    spec: CollectionSpec,
    proof: RetrievalProof,
    info: CollectionInfo,
) -> RetrievalSeen:
    asked = ask(loaded, milvus, spec, info)
    if isinstance(asked, str):
        return RetrievalSeen(reason=asked)
    k = spec.search.top_k
    right = [
        [hit for hit in hits[:k] if asked.right(q, hit)] for q, hits in enumerate(asked.answers)
    ]
    known = calibrations.read(loaded, spec, asked.metric)
    found = RetrievalSeen(
        queries=len(asked.golden),
        k=k,
        found=_interval([float(bool(hits)) for hits in right], info.name),
        gone=asked.gone,
    )
    if isinstance(known, str):
        found = replace(found, uncalibrated=known)
    else:
        sure = [
            float(any(is_confident(hit.score, asked.metric, known.score) for hit in hits))
            for hits in right
        ]
        found = replace(found, calibration=known, hits=_interval(sure, info.name))
    return _with_hybrid(milvus, spec, info, asked, found) if proof.hybrid else found


def _with_hybrid(
    milvus: Milvus, spec: CollectionSpec, info: CollectionInfo, asked: Asked, found: RetrievalSeen
) -> RetrievalSeen:
    """Ranks by BM25 too, and compares the first right documents' ranks."""
    documents: dict[Hashable, str] = {
        hit.key: str(hit.fields.get(asked.doc_field)) for hits in asked.answers for hit in hits
    }
    by = lexical_field(info)
    if by is not None:
        rankings = _server_ranks(milvus, info, by, asked, documents)
    else:
        text = spec.fields.text
        if text is None or info.schema.field(text) is None:
            why = f"BM25 reads the passages, and there is no `{text or 'text'}`"
            return replace(found, reason=why)
        rankings = _text_ranks(milvus, info, text, asked, documents)
    dense_ranks: list[float] = []
    hybrid_ranks: list[float] = []
    for golden, hits, lexical in zip(asked.golden, asked.answers, rankings, strict=True):
        dense: list[Hashable] = [hit.key for hit in hits]
        fused = fuse([dense, lexical], found.k)
        for ranking, into in ((dense[: found.k], dense_ranks), (fused, hybrid_ranks)):
            into.append(_reciprocal([documents[one] for one in ranking], golden.relevant))
    gains = [h - d for h, d in zip(hybrid_ranks, dense_ranks, strict=True)]
    return replace(
        found,
        dense=_interval(dense_ranks, info.name),
        hybrid=_interval(hybrid_ranks, info.name),
        gain=_interval(gains, info.name),
        bm25=by or "",
    )


def lexical_field(info: CollectionInfo) -> str | None:
    """The field that the server fills and ranks by BM25 itself (2.5 and later), if there is one."""
    return next((s.index.field for s in info.indexes if s.index.metric == "BM25"), None)


def _server_ranks(
    milvus: Milvus,
    info: CollectionInfo,
    field: str,
    asked: Asked,
    documents: dict[Hashable, str],
) -> list[list[Hashable]]:
    """Each query's text asked of the server; adds the documents of what it gives."""
    texts = [golden.query for golden in asked.golden]
    answers = milvus.search(
        info.name, texts, limit=_DEPTH, field=field, columns=[asked.doc_field], strong=False
    )
    for hits in answers:
        documents.update({hit.key: str(hit.fields.get(asked.doc_field)) for hit in hits})
    return [[hit.key for hit in hits] for hits in answers]


def _text_ranks(
    milvus: Milvus, info: CollectionInfo, text: str, asked: Asked, documents: dict[Hashable, str]
) -> list[list[Hashable]]:
    """Reads every text once and ranks them here; adds the documents of all rows."""
    key = info.schema.primary.name
    lexical = Bm25([g.query for g in asked.golden])
    for batch in milvus.scan(info.name, [key, asked.doc_field, text]):
        rows = zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True)
        for row_key, document, passage in rows:
            documents.setdefault(row_key, str(document))
            lexical.add(row_key, passage or "")
    return [lexical.rank(query, _DEPTH) for query in range(len(asked.golden))]


def _documents(
    milvus: Milvus, info: CollectionInfo, field: str, golden: Sequence[GoldenQuery]
) -> set[str]:
    """The relevant documents that are in the collection."""
    kind = info.schema.field(field)
    numbers = kind is not None and kind.type.startswith("INT")
    present, strong = set(), True
    for document in dict.fromkeys(doc for g in golden for doc in g.relevant):
        if numbers and not document.lstrip("-").isdigit():
            continue
        value: str | int = int(document) if numbers else document
        # once the nodes have seen all writes, they need not wait again
        if milvus.count(info.name, filter=f"{field} == {literal(value)}", strong=strong):
            present.add(document)
        strong = False
    return present


def _gone(golden: Sequence[GoldenQuery], present: set[str]) -> list[Gone]:
    found = []
    for one in golden:
        away = tuple(doc for doc in one.relevant if doc not in present)
        if away:
            found.append(Gone(one.query, away, len(away) == len(one.relevant)))
    return found


def _reciprocal(ranking: Sequence[str], relevant: Sequence[str]) -> float:
    return next((1 / rank for rank, doc in enumerate(ranking, 1) if doc in relevant), 0.0)


def _interval(values: Sequence[float], seed: str) -> Interval:
    found = summarise(1, values, seed)
    return Interval(found.mean, found.low, found.high)

"""After a run: what it wrote is read back, and a sample is embedded again and searched for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from kitestring.clients.embedder import Embedder
from kitestring.clients.milvus.filters import among
from kitestring.clients.milvus.protocol import Hit, Milvus
from kitestring.errors import EmbedderFailed
from kitestring.ingest.ledger import Ledger, Run
from kitestring.model.collection import CollectionInfo
from kitestring.model.ingest import ReadBack, SpotChecks
from kitestring.model.ledger import LedgerRow
from kitestring.spec.models import CollectionSpec, IngestVerify

_BATCH = 2048  # keys in one filter
_EXAMPLES = 5
_TOP = 16  # hits of a passage's own search
_TIE = 1e-4  # scores nearer than this are equal: float32, summed in another order


def read_back(
    milvus: Milvus,
    ledger: Ledger,
    run: Run,
    info: CollectionInfo,
    wanted: CollectionSpec,
    *,
    sample: int,
) -> tuple[ReadBack, tuple[LedgerRow, ...]]:
    """Compares the rows entered since the last run that was read back with the collection's.

    A row that is missing or has another content hash is forgotten, so that the next run writes it
    again. Where the collection keeps no content hash, only keys are compared.

    Returns:
        What it came to, and `sample` of the rows that are there, chosen by hash of their keys.
    """
    fields = wanted.fields
    columns = [fields.id, *([fields.content_hash] if fields.content_hash else [])]
    rows = 0
    wrong: list[LedgerRow] = []
    chosen: list[tuple[bytes, LedgerRow]] = []
    for batch in _batches(ledger.unverified(run.collection)):
        rows += len(batch)
        expression = among(fields.id, [row.key for row in batch])
        there = milvus.columnar.page(run.collection, info.schema, columns, expression)
        keys, last = there.column(fields.id).to_pylist(), there.column(columns[-1]).to_pylist()
        stored = dict(zip(keys, last, strict=True))
        for row in batch:
            right = row.content_hash if fields.content_hash else row.key
            if stored.get(row.key) != right:
                wrong.append(row)
            elif sample:
                chosen.append((hashlib.sha256(row.key.encode()).digest(), row))
        chosen = sorted(chosen, key=lambda pair: pair[0])[:sample]
    if wrong:
        ledger.forget(run, [row.key for row in wrong])
    elif rows:
        ledger.verified(run)
    examples = tuple(f"{row.doc_id}#{row.chunk_index}" for row in wrong[:_EXAMPLES])
    result = ReadBack(rows, len(wrong), bool(fields.content_hash), examples)
    return result, tuple(row for _, row in chosen)


def _batches(rows: Iterable[LedgerRow]) -> Iterator[list[LedgerRow]]:
    listed = iter(rows)
    while batch := list(islice(listed, _BATCH)):
        yield batch


def spot_check(
    milvus: Milvus,
    info: CollectionInfo,
    wanted: CollectionSpec,
    embedder: Embedder,
    rows: Sequence[LedgerRow],
    asked: IngestVerify,
) -> SpotChecks:
    """Embeds the stored texts of `rows` again, compares with the stored vectors, and searches.

    A passage passes where the cosine is at least `minimum_cosine` and a search for its own text
    has it first, or as near as the first: ties are equal, and what the model's own repetition
    may differ by is no difference. One that only an exact search has first is counted apart.

    Args:
        embedder: the model itself, not a cache of what it said before.
    """
    fields = wanted.fields
    if not rows or fields.text is None:
        return SpotChecks(0, reason="" if rows else "nothing was written")
    stored = _stored(milvus, info, wanted, [row.key for row in rows])
    named = {row.key: f"{row.doc_id}#{row.chunk_index}" for row in rows if row.key in stored}
    keys = list(named)
    try:
        again = embedder.embed([str(stored[key][0]) for key in keys])
    except EmbedderFailed as error:
        return SpotChecks(0, inconclusive=error.message)
    failed: list[str] = []
    near: dict[str, list[float]] = {}
    for key, vector in zip(keys, again, strict=True):
        there = np.asarray(stored[key][1], np.float64)
        cosine = float(vector @ there / (np.linalg.norm(vector) * np.linalg.norm(there)))
        if cosine >= asked.minimum_cosine:
            near[key] = vector.tolist()
        else:
            failed.append(f"{named[key]}: cosine {cosine:.4f} with its text embedded again")
    ranks = _Search(milvus, info, wanted, 1.0 - asked.minimum_cosine).ranks(near)
    approximate = sum(rank == "exact" for rank in ranks.values())
    failed += [
        f"{named[key]}: a search for its own text does not have it first"
        for key, rank in ranks.items()
        if rank == "no"
    ]
    return SpotChecks(len(keys), len(failed), approximate, tuple(failed[:_EXAMPLES]))


def _stored(
    milvus: Milvus, info: CollectionInfo, wanted: CollectionSpec, keys: Sequence[str]
) -> Mapping[str, tuple[Any, Any]]:
    """Key -> text and vector."""
    fields = wanted.fields
    columns = [fields.id, str(fields.text), fields.vector]
    page = milvus.columnar.page(info.name, info.schema, columns, among(fields.id, keys))
    found = (page.column(name).to_pylist() for name in columns)
    return {key: (text, vector) for key, text, vector in zip(*found, strict=True)}


class _Search:
    """Whether a row is the first answer to its own vector."""

    def __init__(
        self, milvus: Milvus, info: CollectionInfo, wanted: CollectionSpec, slack: float
    ) -> None:
        self._milvus, self._info, self._wanted = milvus, info, wanted
        field = wanted.fields.vector
        index = next((s.index for s in info.indexes if s.index.field == field), None)
        self._metric = index.metric if index else ""
        # squared L2 of unit vectors is 2 - 2 * cosine
        self._slack = _TIE + slack * (2 if self._metric == "L2" else 1)

    def ranks(self, vectors: Mapping[str, list[float]]) -> dict[str, str]:
        """Key -> `yes`, `exact` (only without the approximation of the index) or `no`."""
        if not vectors or self._metric not in ("COSINE", "L2"):
            return {}  # by inner product, a longer vector may be nearer than the same one
        answers = self._hits(list(vectors.values()), "")
        return {
            key: self._rank(key, vectors[key], hits)
            for key, hits in zip(vectors, answers, strict=True)
        }

    def _rank(self, key: str, vector: list[float], hits: list[Hit]) -> str:
        own = next((hit for hit in hits if hit.key == key), None)
        if own is not None and self._ties(own, hits[0]):
            return "yes"
        # few enough rows pass the filter that the server compares all of them
        alone = self._hits([vector], among(self._wanted.fields.id, [key]))[0]
        if not alone or not hits or not self._ties(alone[0], hits[0]):
            return "no"
        equal = len(hits) == _TOP and self._ties(hits[-1], hits[0])
        return "yes" if equal else "exact"

    def _hits(self, vectors: list[list[float]], expression: str) -> list[list[Hit]]:
        return self._milvus.search(
            self._info.name,
            vectors,
            limit=_TOP,
            field=self._wanted.fields.vector,
            params=self._wanted.search.params,
            filter=expression,
        )

    def _ties(self, hit: Hit, best: Hit) -> bool:
        worse = hit.score - best.score if self._metric == "L2" else best.score - hit.score
        return worse <= self._slack

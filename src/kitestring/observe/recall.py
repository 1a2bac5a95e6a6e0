"""Asks live collections, and scores their answers against exact search over every vector."""

from __future__ import annotations

import time
from dataclasses import replace

from kitestring.clients.milvus.filters import among
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded, KitestringError, MilvusError
from kitestring.model.collection import CollectionInfo, Field
from kitestring.model.recall import LiveRecall
from kitestring.model.snapshot import Snapshot
from kitestring.observe.golden import golden_vectors
from kitestring.observe.vectors import FILES, Source, files_until, sources
from kitestring.recall.probe import KeySample, Probe, Queries, RecallProbe, SmallestKeys, probe_for
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.spec.proofs import RecallProof

_ASKED = 500  # vectors of one request


def probe_recall(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds the recall of each collection of which the spec asks for it.

    Raises:
        GoldenInvalid: a file of golden queries has errors.
        MilvusError: the server could not be asked.
    """
    collections = dict(snapshot.collections)
    for spec in loaded.spec.collections:
        seen = collections.get(spec.name)
        if spec.recall is not None and seen is not None:
            start = time.monotonic()
            found = measure(loaded, milvus, spec, spec.recall, seen.info)
            found = replace(found, seconds=time.monotonic() - start)
            collections[spec.name] = replace(seen, recall=found)
    return replace(snapshot, collections=collections)


def measure(
    loaded: LoadedSpec,
    milvus: Milvus,
    spec: CollectionSpec,
    proof: RecallProof,
    info: CollectionInfo,
) -> LiveRecall:
    """The recall of one collection, at the search parameters of the spec.

    The truth is every stored vector: where fewer or more rows were read than `count(*)` says
    before and after, the result has a `reason`. Out of the files it goes up to their boundary.
    """
    if not info.loaded:
        return LiveRecall(reason="the collection is not loaded")
    objectives = loaded.spec.objectives
    k = proof.k or (objectives.recall.k if objectives else spec.search.top_k)
    indexes = [state.index for state in info.indexes]
    how = probe_for(info.schema, indexes, spec.fields.vector, spec.search.params or None, k)
    if isinstance(how, str):
        return LiveRecall(reason=how)
    golden: Queries | None = None
    if proof.queries == "golden":
        try:
            golden = golden_vectors(loaded, spec, info.schema)
        except KitestringError as error:
            if error.code == "ingest.golden":
                raise
            return LiveRecall(reason=f"golden queries could not be asked: {error.message}")
    found = LiveRecall(reason="no rows")
    files = files_until(loaded, milvus, info.name)
    for source in sources(loaded, milvus, info):
        if source.path == FILES and not files.known:
            continue
        try:
            found = _against(milvus, info, how, golden, proof.sample, source)
            found = replace(found, until=files.at if source.path == FILES else None)
        except CollectionNotLoaded:
            return LiveRecall(reason="the collection was released while it was read")
        except MilvusError:
            raise
        except KitestringError as error:  # of a segment file: compaction may just have removed it
            found = LiveRecall(path=source.path, reason=error.message)
        if not found.reason:
            break
    return found


def _against(
    milvus: Milvus,
    info: CollectionInfo,
    how: Probe,
    golden: Queries | None,
    sample: int,
    source: Source,
) -> LiveRecall:
    """The recall against the rows of one source."""
    key = info.schema.primary.name
    columns = [key, how.field.name]
    before = milvus.count(info.name)
    queries = golden or _stored(milvus, info, source, how.field, sample)
    if queries is None:
        return LiveRecall(path=source.path, reason="no rows")
    asked = RecallProbe(milvus, info.name, how, queries)
    rows = 0
    for batch in source.read(columns):
        if batch.num_rows:
            rows += batch.num_rows
            asked.add(batch, key)
    after = milvus.count(info.name)
    reason = ""
    if before != after:
        reason = f"rows were written or deleted meanwhile: count(*) was {before:,}, then {after:,}"
    elif rows != after:
        reason = f"count(*) says {after:,} rows, {rows:,} were read"
    elif not rows:
        reason = "no rows"
    return LiveRecall(asked.result(info.name), queries.source, source.path, rows, reason)


def _stored(
    milvus: Milvus, info: CollectionInfo, source: Source, field: Field, sample: int
) -> Queries | None:
    """Stored vectors as queries: those of the smallest hashed keys, the same ones each run. The
    keys are read of all rows, and vectors of the chosen ones only."""
    key = info.schema.primary.name
    smallest = SmallestKeys(sample, info.name)
    for batch in source.read([key]):
        smallest.add(batch.column(key))
    if not smallest.keys:
        return None
    chosen = KeySample(sample, info.name, key, field)
    for start in range(0, len(smallest.keys), _ASKED):
        asked = among(key, smallest.keys[start : start + _ASKED])
        chosen.add(milvus.columnar.page(info.name, info.schema, [key, field.name], asked))
    return chosen.queries()

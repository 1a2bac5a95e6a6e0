"""One restored collection, looked at: definitions, rows, deleted keys, recall."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.drill import probe as probes
from kitestring.drill.compare import compare_rows, definition_differences, deleted_present
from kitestring.drill.probe import SAMPLE, KeySample, Probe, Queries, RecallProbe
from kitestring.drill.source import Source
from kitestring.model.backup import CollectionBackup
from kitestring.model.collection import Index
from kitestring.model.drill import CollectionScore, Recall
from kitestring.spec.loaded import LoadedSpec

FIRST_ANSWER = 60.0  # seconds until a loaded collection has to answer
_READING_INDEX = "kitestring_drill"  # on the target, for collections that were not loaded


@dataclass(frozen=True, slots=True)
class Inspection:
    score: CollectionScore
    notes: tuple[str, ...] = ()


def first_query(
    loaded: LoadedSpec, server: Milvus, wanted: Sequence[CollectionBackup], notes: list[str]
) -> bool:
    """Whether every collection that was loaded gives a correct answer; it waits until then."""
    if not wanted:
        notes.append("no collection of the backup was loaded: no first query to time")
        return True
    good = True
    for collection in wanted:
        how = _probe(loaded, collection)
        if isinstance(how, str):
            good &= _counts(server, collection)
        elif probes.first_answer(server, collection.name, how, FIRST_ANSWER) is None:
            notes.append(f"{collection.name}: no correct answer within {FIRST_ANSWER:g} s")
            good = False
    return good


def _counts(server: Milvus, collection: CollectionBackup) -> bool:
    """The first query where vectors can't be asked: the count."""
    deadline = time.monotonic() + FIRST_ANSWER
    while server.count(collection.name) != collection.digest.rows:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def inspect(
    loaded: LoadedSpec,
    server: Milvus,
    wanted: CollectionBackup,
    source: Source,
    golden: Queries | None,
    *,
    seed: str,
) -> Inspection:
    """Everything about one collection that a drill compares.

    `golden` are its golden queries; without them, queries are drawn from the stored vectors. The
    rows are read once, for the digests and the exact search together; twice where the
    queries are drawn from the rows themselves.
    """
    name = wanted.name
    found = server.describe(name)
    aliases = [alias for alias in wanted.aliases if server.alias_owner(alias) == name]
    differences = list(definition_differences(wanted, found, aliases))
    notes: list[str] = []
    if not found.loaded:
        _make_readable(server, wanted, found.indexes == ())
        notes.append(f"{name}: loaded on the target for reading only")

    key = wanted.schema.primary.name
    how = _probe(loaded, wanted)
    recall: Recall | None = None
    reason = how if isinstance(how, str) else ""
    asked: RecallProbe | None = None
    sample: KeySample | None = None
    if isinstance(how, Probe):
        if golden is None:
            sample = KeySample(SAMPLE, seed, key, how.field.name)
        else:
            asked = _ask(server, name, how, golden, source, notes)
            reason = golden.source

    def look(batch: pa.RecordBatch) -> None:
        if asked is not None:
            asked.add(batch, key)
        if sample is not None:
            sample.add(batch)

    rows = compare_rows(server, name, wanted, look)
    if isinstance(how, Probe) and sample is not None:
        drawn = sample.queries()
        reason = drawn.source if drawn else "no rows"
        if drawn is not None:
            asked = _ask(server, name, how, drawn, source, notes)
            for batch in server.scan(name, [key, how.field.name]):
                asked.add(batch, key)
    if asked is not None and rows.read.rows:
        recall = asked.result(seed)
    elif asked is not None:
        reason = "no rows"
    return Inspection(
        CollectionScore(
            name=name,
            rows_expected=wanted.digest.rows,
            rows_restored=rows.counted,
            keys_match=rows.keys_match,
            content_match=rows.content_match,
            deleted_present=deleted_present(server, name, wanted),
            differences=tuple(differences),
            recall=recall,
            recall_reason=reason,
        ),
        (*notes, *(f"{name}: {text}" for text in rows.differences)),
    )


def _ask(
    server: Milvus,
    name: str,
    how: Probe,
    queries: Queries,
    source: Source,
    notes: list[str],
) -> RecallProbe:
    theirs = source.answers(name, how, queries)
    if isinstance(theirs, str) and not source.problem:
        notes.append(f"{name}: the source gave no answers to compare with: {theirs}")
    return RecallProbe(server, name, how, queries, None if isinstance(theirs, str) else theirs)


def _probe(loaded: LoadedSpec, wanted: CollectionBackup) -> Probe | str:
    objectives = loaded.spec.objectives
    collection = loaded.spec.collection(wanted.name)
    k = objectives.recall.k if objectives else collection.search.top_k if collection else 10
    if collection is None:
        return probes.probe_for(wanted, None, None, k)
    field = collection.fields.vector
    if wanted.schema.field(field) is None:
        return f"the spec's vector field `{field}` is not in the backup"
    return probes.probe_for(wanted, field, collection.search.params or None, k)


def _make_readable(server: Milvus, wanted: CollectionBackup, unindexed: bool) -> None:
    """Loads a collection that was not loaded; 2.3 wants an index for that."""
    vectors = wanted.schema.vectors
    if unindexed and vectors:
        metric = "HAMMING" if vectors[0].type == "BINARY_VECTOR" else "L2"
        kind = "BIN_FLAT" if vectors[0].type == "BINARY_VECTOR" else "FLAT"
        server.create_index(
            wanted.name, Index(_READING_INDEX, vectors[0].name, kind, metric), wait=True
        )
    server.load(wanted.name)

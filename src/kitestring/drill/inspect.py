"""One restored collection, looked at: definitions, rows, deleted keys, recall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from kitestring.backup.restore import RestoreTarget
from kitestring.backup.restore.differences import definition_differences
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.protocol import ObjectStore
from kitestring.drill.compare import compare_rows, deleted_present
from kitestring.drill.source import Source
from kitestring.errors import RowsHidden
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import Index
from kitestring.model.digest import digest_batches
from kitestring.model.drill import CollectionScore, Recall
from kitestring.recall import probe as probes
from kitestring.recall.probe import SAMPLE, KeySample, Probe, Queries, RecallProbe
from kitestring.segments.reader import read_live
from kitestring.spec.loaded import LoadedSpec

_READING_INDEX = "kitestring_drill"  # on the target, for collections that were not loaded


@dataclass(frozen=True, slots=True)
class Inspection:
    score: CollectionScore
    notes: tuple[str, ...] = ()


def inspect(
    loaded: LoadedSpec,
    restored: RestoreTarget,
    wanted: CollectionBackup,
    source: Source,
    golden: Queries | None,
    *,
    seed: str,
) -> Inspection:
    """Everything about one collection that a drill compares.

    `golden` are its golden queries; without them, queries are drawn from the stored vectors. The
    rows are read once, for the digests and the exact search together; twice where the queries are
    drawn from the rows themselves.
    """
    server, name = restored.milvus, wanted.name
    notes: list[str] = []
    differences = _definitions(server, wanted, notes)
    asking = _Asking(server, wanted, _probe(loaded, wanted), golden, source, seed)
    files = None if restored.store is None else partial(_from_files, restored, restored.store, name)
    rows = compare_rows(server, name, wanted, asking.add, files)
    recall, reason = asking.result()
    return Inspection(
        CollectionScore(
            name=name,
            rows_expected=wanted.digest.rows,
            rows_restored=rows.counted,
            keys_match=rows.keys_match,
            content_match=rows.content_match,
            deleted_present=deleted_present(server, name, wanted),
            differences=differences,
            recall=recall,
            recall_reason=reason,
        ),
        (*notes, *(f"{name}: {text}" for text in (*asking.notes, *rows.reasons))),
    )


def _definitions(server: Milvus, wanted: CollectionBackup, notes: list[str]) -> tuple[str, ...]:
    """The differences of definitions; the collection can be read afterwards."""
    found = server.describe(wanted.name)
    aliases = [alias for alias in wanted.aliases if server.alias_owner(alias) == wanted.name]
    if not found.loaded:
        indexed = {state.index.field for state in found.indexes}
        _make_readable(server, wanted, not any(f.name in indexed for f in wanted.schema.vectors))
        notes.append(f"{wanted.name}: loaded on the target for reading only")
    return tuple(map(str, definition_differences(wanted, found, aliases)))


def _from_files(restored: RestoreTarget, store: ObjectStore, name: str) -> RowDigest:
    """The digest over the restored copy's own segment files: a key that is there twice counts
    twice, where the query API shows it once."""
    server = restored.milvus
    server.flush(name)
    info = server.describe(name)
    batches = read_live(store, restored.root, info, server.segments(name))
    return digest_batches(info.schema.primary.name, batches)


class _Asking:
    """Golden queries, or else a sample of the stored vectors, put to one collection.

    `add` takes every row once; `result` has the recall and which queries were asked, or why there
    is no recall.
    """

    def __init__(
        self,
        server: Milvus,
        wanted: CollectionBackup,
        how: Probe | str,
        golden: Queries | None,
        source: Source,
        seed: str,
    ) -> None:
        self._server, self._name, self._how = server, wanted.name, how
        self._key = wanted.schema.primary.name
        self._source, self._seed = source, seed
        self._asked: RecallProbe | None = None
        self._sample: KeySample | None = None
        self._queries = golden
        self._rows = 0
        self.notes: list[str] = []
        if isinstance(how, str):
            return
        if golden is not None:
            self._asked = self._ask(how, golden)
        else:
            self._sample = KeySample(SAMPLE, seed, self._key, how.field)

    def add(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows
        if self._asked is not None:
            self._asked.add(batch, self._key)
        if self._sample is not None:
            self._sample.add(batch)

    def result(self) -> tuple[Recall | None, str]:
        if isinstance(self._how, str):
            return None, self._how
        if not self._rows:
            return None, "no rows"
        if self._sample is not None:
            self._queries = self._sample.queries()
            if self._queries is not None:
                self._asked = self._ask(self._how, self._queries)
                columns = [self._key, self._how.field.name]
                try:
                    for batch in self._server.scan(self._name, columns):
                        self._asked.add(batch, self._key)
                except RowsHidden as error:
                    self.notes.append(f"exact search did not see every row: {error.message}")
        if self._asked is None or self._queries is None:
            return None, "no queries"
        return self._asked.result(self._seed), self._queries.source

    def _ask(self, how: Probe, queries: Queries) -> RecallProbe:
        theirs = self._source.answers(self._name, how, queries)
        if isinstance(theirs, str):
            if not self._source.problem:  # which the drill notes once
                self.notes.append(f"the source gave no answers to compare with: {theirs}")
            return RecallProbe(self._server, self._name, how, queries)
        return RecallProbe(self._server, self._name, how, queries, theirs)


def _probe(loaded: LoadedSpec, wanted: CollectionBackup) -> Probe | str:
    objectives = loaded.spec.objectives
    collection = loaded.spec.collection(wanted.name)
    k = objectives.recall.k if objectives else collection.search.top_k if collection else 10
    if collection is None:
        return probes.probe_for(wanted.schema, wanted.indexes, None, None, k)
    field = collection.fields.vector
    if wanted.schema.field(field) is None:
        return f"the spec's vector field `{field}` is not in the backup"
    return probes.probe_for(
        wanted.schema, wanted.indexes, field, collection.search.params or None, k
    )


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

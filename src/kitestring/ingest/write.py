"""Writes planned documents in batches, and keeps the ledger a step behind Milvus."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.clients.embedder import Embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import IngestError
from kitestring.ingest.deadletter import DeadLetters
from kitestring.ingest.documents import Source
from kitestring.ingest.ensure import KEY_LENGTH
from kitestring.ingest.ledger import Ledger, Run
from kitestring.ingest.partial import PartialEmbedder, PartialWriter, Refused
from kitestring.model.ledger import LedgerRow
from kitestring.spec.models import FieldMap

BATCH_ROWS = 512
DELETE_ROWS = 1024  # keys in one filter


def row_key(tenant: str, doc_id: str, chunk_index: int | str, chunker: str) -> str:
    """The key of a row, or of a parent: the same place in the same document gives the same key,
    always."""
    text = "\x1f".join((tenant, doc_id, str(chunk_index), chunker))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def content_hash(text: str) -> str:
    """SHA-256 of a passage, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PlannedRow:
    key: str
    chunk_index: int
    text: str
    content_hash: str
    extra: Mapping[str, Any] = field(default_factory=dict)  # beside the row contract
    extra_digest: str = ""


@dataclass(frozen=True, slots=True)
class PlannedDocument:
    """What has to be done for one document."""

    doc_id: str
    digest: str
    chunks: int
    rows: tuple[PlannedRow, ...]  # to be embedded and written
    surplus: tuple[str, ...]  # keys to be deleted
    source: Source


@dataclass(slots=True)
class Clock:
    """Seconds spent in each phase."""

    phases: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, phase: str) -> None:
        """Counts the time since the last lap as `phase`'s."""
        now = time.perf_counter()
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self._last
        self._last = now


class Writer:
    """Takes planned documents; call `finish` after the last one.

    For each batch: announce its documents, embed, upsert, enter the rows that Milvus acknowledged,
    delete what its finished documents no longer have, prove that it is gone, mark them written.
    A row that the model or Milvus refuses is parked in `letters`, and its document stays pending.
    """

    def __init__(
        self,
        milvus: Milvus,
        ledger: Ledger,
        run: Run,
        embedder: Embedder,
        fields: FieldMap,
        *,
        tenant: str,
        chunker: str,
        clock: Clock,
        letters: DeadLetters,
    ) -> None:
        self._milvus = milvus
        self._ledger = ledger
        self._run = run
        self._embedder = PartialEmbedder(embedder)
        self._upserter = PartialWriter(milvus, run.collection)
        self._model = embedder.label
        self._fields = fields
        self._tenant = tenant
        self._chunker = chunker
        self._clock = clock
        self._letters = letters
        self._rows: list[tuple[Source, PlannedRow]] = []
        self._starting: dict[str, PlannedDocument] = {}
        self._ending: list[PlannedDocument] = []
        self.rows_written = 0
        self.rows_deleted = 0

    def add(self, document: PlannedDocument) -> None:
        self._starting[document.doc_id] = document
        for row in document.rows:
            self._rows.append((document.source, row))
            if len(self._rows) >= BATCH_ROWS:
                self._flush()
        self._ending.append(document)
        # documents with nothing but deletes fill no batch of rows
        if len(self._ending) >= BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        self._flush()

    def remove(self, doc_ids: Mapping[str, tuple[str, ...]]) -> None:
        """Deletes whole documents: id -> the keys of all its rows."""
        keys = [key for listed in doc_ids.values() for key in listed]
        for start in range(0, len(keys), DELETE_ROWS):
            self._delete(keys[start : start + DELETE_ROWS])
        self._ledger.forget_documents(self._run, self._tenant, doc_ids)

    def remove_strangers(self, keys: Sequence[str]) -> None:
        """Deletes rows that the ledger has not, unless they have been written since."""
        mine = {row.key for row in self._ledger.rows(self._run.collection, self._tenant)}
        left = [key for key in keys if key not in mine]
        for start in range(0, len(left), DELETE_ROWS):
            self._delete(left[start : start + DELETE_ROWS])

    def _flush(self) -> None:
        if self._starting:
            self._ledger.announce(
                self._run,
                self._tenant,
                {doc: (d.digest, d.chunks) for doc, d in self._starting.items()},
                roots={doc: d.source.root for doc, d in self._starting.items()},
            )
            self._starting = {}
        if self._rows:
            self._write()
            self._rows = []
        surplus = [key for document in self._ending for key in document.surplus]
        for start in range(0, len(surplus), DELETE_ROWS):
            self._delete(surplus[start : start + DELETE_ROWS])
        if self._ending:
            parked = self._letters.documents
            whole = {d.doc_id: d.chunks for d in self._ending if d.doc_id not in parked}
            self._ledger.complete(self._run, self._tenant, whole)
            for doc_id in whole:
                self._letters.clear(self._tenant, doc_id)
            self._ending = []
        self._clock.lap("write")

    def _write(self) -> None:
        """Embeds and upserts the rows of a batch; what is refused of them is parked."""
        self._clock.lap("extract")
        vectors, refused = self._embedder.embed([row.text for _, row in self._rows])
        self._park(self._rows, refused)
        self._clock.lap("embed")
        now = int(time.time() * 1000)
        sent = [self._rows[i] for i in sorted(vectors)]
        entries = [
            LedgerRow(
                key=row.key,
                doc_id=source.doc_id,
                chunk_index=row.chunk_index,
                content_hash=row.content_hash,
                embedding_model=self._model,
                chunker=self._chunker,
                last_embedded_at=now,
                extra=row.extra_digest,
            )
            for source, row in sent
        ]
        refused = self._upserter.upsert(
            [
                self._milvus_row(entry, row, vectors[i])
                for entry, (_, row), i in zip(entries, sent, sorted(vectors), strict=True)
            ]
        )
        self._park(sent, refused)
        taken = [entry for i, entry in enumerate(entries) if i not in refused]
        self._ledger.enter(self._run, self._tenant, taken)
        self.rows_written += len(taken)

    def _park(self, rows: Sequence[tuple[Source, PlannedRow]], refused: Refused) -> None:
        for position, error in refused.items():
            source, row = rows[position]
            self._letters.park(
                self._tenant,
                source.doc_id,
                row.chunk_index,
                error.message,
                hint=error.hint,
                path=source.path,
            )

    def _milvus_row(self, entry: LedgerRow, row: PlannedRow, vector: object) -> dict[str, object]:
        fields = self._fields
        values: tuple[tuple[str | None, object], ...] = (
            (fields.id, entry.key),
            (fields.vector, vector),
            (fields.tenant_id, self._tenant),
            (fields.doc_id, entry.doc_id),
            (fields.chunk_index, entry.chunk_index),
            (fields.text, row.text),
            (fields.content_hash, entry.content_hash),
            (fields.embedding_model, entry.embedding_model),
            (fields.chunker, entry.chunker),
            (fields.last_embedded_at, entry.last_embedded_at),
        )
        return {name: value for name, value in values if name is not None} | dict(row.extra)

    def _delete(self, keys: list[str]) -> None:
        """Deletes rows and proves by query that they are gone; only then the ledger forgets."""
        delete_proven(self._milvus, self._run.collection, self._fields.id, keys)
        self._ledger.forget(self._run, keys)
        self.rows_deleted += len(keys)


def delete_proven(
    milvus: Milvus, collection: str, key_field: str, keys: Sequence[str | int]
) -> None:
    """Deletes rows by their keys, at most `DELETE_ROWS`, and proves by query that they are gone.

    Raises:
        IngestError: some are still there.
        MilvusError: the server refused.
    """
    milvus.delete(collection, keys)
    left = milvus.get(collection, keys, [key_field])
    if left:
        raise IngestError(
            f"{len(left)} of {len(keys)} rows of `{collection}` are still there after their "
            "deletion",
            hint="run it again; if it stays so, compact the collection",
            subject=collection,
        )

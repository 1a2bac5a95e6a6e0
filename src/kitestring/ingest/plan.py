"""What has to be done for each document, by the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kitestring.errors import ExtractFailed, IngestError, UsageError
from kitestring.ingest.chunk import CHUNK_VERSION, Chunk, Embed, chunks
from kitestring.ingest.documents import Found, Source
from kitestring.ingest.extract import EXTRACT_VERSION, extract
from kitestring.ingest.ledger import Ledger, LedgerDocument, Run
from kitestring.ingest.metadata import Enricher, extra_digest
from kitestring.ingest.write import PlannedDocument, PlannedRow, content_hash, row_key
from kitestring.model.collection import Schema
from kitestring.spec.models import Chunking, CollectionSpec


class Planner:
    """Finds out what has to be done for a document.

    Args:
        embed: the collection's model, for chunking that needs one.

    `roots`: the directory that the id of each known document is relative to.
    """

    def __init__(
        self,
        ledger: Ledger,
        run: Run,
        wanted: CollectionSpec,
        schema: Schema,
        tenant: str,
        model: str,
        embed: Embed | None = None,
    ) -> None:
        if wanted.chunking is None:
            raise UsageError(
                f"the collection `{wanted.name}` has no `chunking` in the spec",
                hint="say how documents become passages, such as "
                "`chunking: {strategy: sentence, size: 600, overlap: 80}`",
                subject=wanted.name,
            )
        self._ledger = ledger
        self._collection = run.collection
        self._chunking = wanted.chunking
        self._tenant = tenant
        self._model = model
        self._embed = embed
        self._enricher = Enricher(wanted.metadata, schema)
        self._known = ledger.documents(run.collection, tenant)
        self.roots = ledger.roots(run.collection, tenant)
        self._limits = {
            role: field.max_length
            for role in ("doc_id", "text", "tenant_id", "embedding_model", "chunker")
            if (name := getattr(wanted.fields, role)) and (field := schema.field(name))
        }
        for role, value in (
            ("tenant_id", tenant),
            ("embedding_model", model),
            ("chunker", self._chunking.label),
        ):
            if self._too_long(role, value):
                raise IngestError(
                    f"`{value}` is longer than the field for `{role}` takes", subject=wanted.name
                )

    def document(self, source: Source) -> PlannedDocument | None:
        """What to write and delete for a document; None where it is unchanged.

        Raises:
            ExtractFailed: it can't be read, or has a passage that the collection can't hold.
            EmbedderFailed, DimensionMismatch: its chunking needs the model, which failed.
        """
        try:
            data = source.read()
        except OSError as error:
            raise ExtractFailed(f"{source.path}: {error.strerror}", subject=source.doc_id) from None
        digest = digest_of(self._chunking, self._model, self._enricher, source, data)
        known = self._known.get(source.doc_id)
        if known and is_done(known, digest):
            return None
        text, front = self._enricher.split(source, extract(source.path, data))
        values = self._enricher.values(source, data, text, front)
        passages = chunks(text, self._chunking, self._embed)
        self._require_room(source, passages)
        rows = [self._row(source.doc_id, i, p, values) for i, p in enumerate(passages)]
        stored = self._ledger.document_rows(self._collection, self._tenant, source.doc_id)
        surplus = stored.keys() - {row.key for row in rows}
        if known and known.state == "pending":
            # a killed run may have sent chunks that it could not enter any more
            beyond = range(len(rows), known.chunks)
            surplus |= {self._key(source.doc_id, i) for i in beyond}
        labels = (self._model, self._chunking.label)
        todo = (
            row
            for row in rows
            if (old := stored.get(row.key)) is None
            or (old.content_hash, old.extra) != (row.content_hash, row.extra_digest)
            or (old.embedding_model, old.chunker) != labels
        )
        return PlannedDocument(
            source.doc_id, digest, len(rows), tuple(todo), tuple(sorted(surplus)), source
        )

    def gone(self, found: Found, *, all_others: bool) -> dict[str, tuple[str, ...]]:
        """Documents of the tenant to be removed, with their rows' keys.

        Those whose files stood in the directories just looked through and are not there any more;
        with `all_others`, every document that was not found.
        """
        present = {source.doc_id for source in found.sources}
        documents = {}
        for doc_id in self._ledger.document_ids(self._collection, self._tenant) - present:
            if not all_others and not found.missing(doc_id, self.roots.get(doc_id, "")):
                continue
            stored = self._ledger.document_rows(self._collection, self._tenant, doc_id)
            known = self._known.get(doc_id)
            sent = {self._key(doc_id, i) for i in range(known.chunks if known else 0)}
            documents[doc_id] = tuple(sorted(stored.keys() | sent))
        return documents

    def moved(self, found: Found) -> dict[str, str]:
        """Known documents that are in another directory than before -> that directory."""
        return {
            source.doc_id: source.root
            for source in found.sources
            if self.roots.get(source.doc_id, source.root) != source.root
        }

    def _row(
        self, doc_id: str, index: int, passage: Chunk, values: Mapping[str, Any]
    ) -> PlannedRow:
        extra = dict(values)
        if passage.parent is not None:
            name = f"parent-{passage.parent_index}"
            extra["parent_id"] = row_key(self._tenant, doc_id, name, self._chunking.label)
            extra["parent_start"] = passage.parent.start
            extra["parent_end"] = passage.parent.end
            extra["parent_text"] = passage.parent.text
        return PlannedRow(
            self._key(doc_id, index),
            index,
            passage.text,
            content_hash(passage.text),
            extra,
            extra_digest(extra),
        )

    def _require_room(self, source: Source, passages: list[Chunk]) -> None:
        if self._too_long("doc_id", source.doc_id):
            raise ExtractFailed(f"{source.path}: its name is too long for the field `doc_id`")
        for passage in passages:
            if self._too_long("text", passage.text):
                raise ExtractFailed(
                    f"{source.path}: the passage at character {passage.start} has "
                    f"{len(passage.text.encode()):,} bytes; the collection takes "
                    f"{self._limits['text']:,}",
                    hint="Milvus counts bytes, `chunking.size` characters: lower the size, or "
                    "ingest into a collection with a greater `text_max_length`",
                )

    def _key(self, doc_id: str, index: int) -> str:
        return row_key(self._tenant, doc_id, index, self._chunking.label)

    def _too_long(self, role: str, value: str) -> bool:
        limit = self._limits.get(role)
        # no character takes more than four bytes of UTF-8
        return limit is not None and len(value) * 4 > limit and len(value.encode()) > limit


def digest_of(
    chunking: Chunking, model: str, enricher: Enricher, source: Source, data: bytes
) -> str:
    """The digest of all that decides what rows a document has. `model`: its label."""
    made_by = f"{EXTRACT_VERSION}/{CHUNK_VERSION}/{chunking.label}/{model}\n"
    made_by += enricher.made_by(source)
    return hashlib.sha256(made_by.encode() + data).hexdigest()


def is_done(known: LedgerDocument, digest: str) -> bool:
    """Whether a document is written, wholly and as it is."""
    return known.state == "written" and known.digest == digest and known.rows == known.chunks

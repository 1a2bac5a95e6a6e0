"""One ingestion: from files to rows, idempotently."""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import ExtractFailed, IngestError, UsageError
from kitestring.ingest.chunk import CHUNK_VERSION, chunks
from kitestring.ingest.documents import Source, find_documents
from kitestring.ingest.ensure import ensure_collection
from kitestring.ingest.extract import EXTRACT_VERSION, extract
from kitestring.ingest.ledger import Ledger, LedgerDocument, Run, open_ledger
from kitestring.ingest.reconcile import refuse_mixed, settle
from kitestring.ingest.write import (
    Clock,
    PlannedDocument,
    PlannedRow,
    Writer,
    content_hash,
    row_key,
)
from kitestring.model.collection import Schema
from kitestring.model.ingest import FailedDocument, IngestReport, OnProgress, Progress
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, EmbeddingModel
from kitestring.spec.registry import read_registry

DEFAULT_TENANT = "default"


def ingest(
    loaded: LoadedSpec,
    milvus: Milvus,
    collection_name: str,
    paths: Sequence[Path],
    *,
    tenant: str = DEFAULT_TENANT,
    root: Path | None = None,
    create: bool = True,
    allow_mixed: bool = False,
    prune: bool = False,
    verify: bool = False,
    embedder: Embedder | None = None,
    progress: OnProgress | None = None,
) -> IngestReport:
    """Writes documents into a collection; a second run over the same documents writes nothing.

    A document that can't be read is reported, and what is stored of it stays. A killed run is
    continued by the next one: what Milvus acknowledged is not embedded again.

    Args:
        collection_name: a collection of the spec, or an alias of one.
        paths: files, and directories with all that is below them.
        tenant: the tenant of all these documents.
        root: document ids are relative to it; by default to each directory given.
        create: create the collection if it is not there.
        allow_mixed: write even where rows of another model or chunker are.
        prune: `paths` are all that the tenant has: remove every other document, and rows of the
            tenant that no ingestion wrote.
        verify: compare all rows with the ledger first, even if nothing looks wrong.
        embedder: for tests; the spec's model by default.

    Raises:
        IngestError, MilvusError, SpecError: nothing is half-written; run it again.
    """
    start = time.perf_counter()
    clock = Clock()
    wanted, model = collection_to_write(loaded, collection_name)
    found = find_documents(paths, root=root)
    with (
        open_ledger(loaded) as ledger,
        ledger.run(wanted.name) as run,
        closing(embedder or make_embedder(loaded, model)) as embed,
    ):
        refuse_switched(loaded, wanted)
        if not milvus.has_collection(wanted.name):
            # a wrong dimension must show before a collection is made for it
            embed.embed(["dimension"])
        ensured = ensure_collection(loaded, milvus, wanted, create=create)
        chunker = wanted.chunking.label if wanted.chunking else ""
        if not allow_mixed:
            refuse_mixed(milvus, ledger, wanted, embed.label, chunker)
        ids = {source.doc_id for source in found.sources}
        settled = settle(
            milvus,
            ledger,
            run,
            ensured.info,
            wanted,
            tenant=tenant,
            documents=ids,
            verify=verify,
        )
        notes = [*settled.notes]
        clock.lap("prepare")
        plan = Planner(ledger, run, wanted, ensured.info.schema, tenant, embed.label)
        writer = Writer(
            milvus,
            ledger,
            run,
            embed,
            wanted.fields,
            tenant=tenant,
            chunker=chunker,
            clock=clock,
        )
        failed: list[FailedDocument] = []
        written = 0
        for number, source in enumerate(found.sources, 1):
            try:
                planned = plan.document(source)
            except ExtractFailed as error:
                failed.append(FailedDocument(source.doc_id, error.message, error.hint))
                continue
            if planned is not None:
                writer.add(planned)
                written += bool(planned.rows or planned.surplus)
            if progress is not None:
                progress(Progress(number, len(found.sources), writer.rows_written))
        clock.lap("extract")
        writer.finish()
        gone = plan.gone(ids) if prune else {}
        writer.remove(gone)
        if prune and settled.strangers:
            writer.remove_strangers(settled.strangers)
            notes.append(f"{len(settled.strangers):,} rows that no ingestion wrote are removed")
        if progress is not None:
            progress(Progress(len(found.sources), len(found.sources), writer.rows_written))
        if writer.rows_written or writer.rows_deleted:
            milvus.flush(wanted.name)
        clock.lap("flush")
        rows, known = milvus.count(wanted.name), ledger.count(wanted.name)
        if rows != known:
            notes.append(
                f"the collection has {rows:,} rows, the ledger {known:,}; "
                "`kitestring drift` tells which differ"
            )
    return IngestReport(
        collection=wanted.name,
        tenant=tenant,
        model=model.label,
        chunker=chunker,
        documents=len(found.sources),
        documents_written=written,
        documents_unchanged=len(found.sources) - written - len(failed),
        documents_removed=len(gone),
        rows_written=writer.rows_written,
        rows_deleted=writer.rows_deleted,
        rows=rows,
        seconds=time.perf_counter() - start,
        phases=clock.phases,
        failed=tuple(failed),
        skipped=tuple(f"{path}: {why}" for path, why in found.skipped),
        made=ensured.made,
        notes=(*ensured.notes, *notes),
    )


def collection_to_write(loaded: LoadedSpec, name: str) -> tuple[CollectionSpec, EmbeddingModel]:
    """The spec's collection of that name or alias, and its model.

    Raises:
        UsageError: the spec has none, or it does not say how its rows are made.
    """
    wanted = loaded.spec.collection(name)
    if wanted is None:
        names = [n for c in loaded.spec.collections for n in (c.name, *c.aliases)]
        near = difflib.get_close_matches(name, names, 1)
        raise UsageError(
            f"{loaded.file} has no collection `{name}`",
            hint=f"did you mean `{near[0]}`?" if near else f"it has: {', '.join(names) or 'none'}",
            subject=name,
        )
    model = loaded.spec.model_named(wanted.model)
    if model is None:
        raise UsageError(
            f"{loaded.locate('collections')}: the collection `{wanted.name}` has no `model`",
            hint="name one of the spec's `models`, as `name@version`",
            subject=wanted.name,
        )
    return wanted, model


def refuse_switched(loaded: LoadedSpec, wanted: CollectionSpec) -> None:
    """Refuses to write to a collection that a re-embedding takes clients from or to.

    To be asked with the ledger's lease held: a cutover holds it until the registry says the end.

    Raises:
        IngestError: nothing was written; the message says what to do.
    """
    family = read_registry(loaded).family_of(wanted.name)
    if family is None or (family.live == wanted.name and not family.switching):
        return
    if family.switching:
        raise IngestError(
            f"`{wanted.name}` is between two embedding models: a cutover did not end",
            hint="`kitestring reembed status` says how to end it; then ingest again",
            subject=wanted.name,
        )
    raise IngestError(
        f"clients have moved to `{family.live}` since this run began; nothing was written",
        hint="ingest again: it goes to the collection that is live now",
        subject=wanted.name,
    )


class Planner:
    """Finds out what has to be done for a document, by the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        run: Run,
        wanted: CollectionSpec,
        schema: Schema,
        tenant: str,
        model: str,
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
        self._known = ledger.documents(run.collection, tenant)
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
        """
        try:
            data = source.path.read_bytes()
        except OSError as error:
            raise ExtractFailed(f"{source.path}: {error.strerror}", subject=source.doc_id) from None
        digest = self._digest(data)
        known = self._known.get(source.doc_id)
        if known and _is_done(known, digest):
            return None
        passages = chunks(extract(source.path, data), self._chunking)
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
        rows = [
            PlannedRow(self._key(source.doc_id, i), i, p.text, content_hash(p.text))
            for i, p in enumerate(passages)
        ]
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
            or old.content_hash != row.content_hash
            or (old.embedding_model, old.chunker) != labels
        )
        return PlannedDocument(
            source.doc_id, digest, len(rows), tuple(todo), tuple(sorted(surplus))
        )

    def gone(self, present: set[str]) -> dict[str, tuple[str, ...]]:
        """The documents of the tenant that are not in `present`, with their rows' keys."""
        found = {}
        for doc_id in self._ledger.document_ids(self._collection, self._tenant) - present:
            stored = self._ledger.document_rows(self._collection, self._tenant, doc_id)
            known = self._known.get(doc_id)
            sent = {self._key(doc_id, i) for i in range(known.chunks if known else 0)}
            found[doc_id] = tuple(sorted(stored.keys() | sent))
        return found

    def _key(self, doc_id: str, index: int) -> str:
        return row_key(self._tenant, doc_id, index, self._chunking.label)

    def _digest(self, data: bytes) -> str:
        """Of all that decides what rows a document has."""
        made_by = f"{EXTRACT_VERSION}/{CHUNK_VERSION}/{self._chunking.label}/{self._model}\n"
        return hashlib.sha256(made_by.encode() + data).hexdigest()

    def _too_long(self, role: str, value: str) -> bool:
        limit = self._limits.get(role)
        # no character takes more than four bytes of UTF-8
        return limit is not None and len(value) * 4 > limit and len(value.encode()) > limit


def _is_done(known: LedgerDocument, digest: str) -> bool:
    return known.state == "written" and known.digest == digest and known.rows == known.chunks

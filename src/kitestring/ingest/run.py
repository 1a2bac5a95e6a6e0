"""One ingestion: from files to rows, idempotently."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.clients.embedder import Embedder, make_cached, make_embedder
from kitestring.clients.embedder.cache import CachedEmbedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import EmbedderFailed, ExtractFailed, IngestError, UsageError
from kitestring.ingest.deadletter import DeadLetters, dead_letters, letters_file
from kitestring.ingest.documents import Found, find_documents
from kitestring.ingest.ensure import ensure_collection
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.plan import Planner
from kitestring.ingest.reconcile import refuse_mixed, settle
from kitestring.ingest.verify import read_back, spot_check
from kitestring.ingest.write import Clock, Writer
from kitestring.model.ingest import CacheUse, FailedDocument, IngestReport, OnProgress, Progress
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
    wait: float = 0.0,
    waiting: Callable[[str], None] | None = None,
    allow_empty: bool = False,
    unchanged: Collection[str] = (),
    embedder: Embedder | None = None,
    progress: OnProgress | None = None,
) -> IngestReport:
    """Writes documents into a collection; a second run over the same documents writes nothing.

    A document that can't be read is parked (see `deadletter`), and what is stored of it stays; a
    passage that the model or Milvus refuses is parked alone. A document that has become shorter
    loses its last rows; one whose file is not there any more, in a directory that is looked
    through, loses all of them. A killed run is continued by the next one: what Milvus
    acknowledged is not embedded again. What was written is read back and spot-checked.

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
        wait: seconds to wait for another ingestion into the collection; see `Ledger.run`.
        waiting: told once by whom the collection is held.
        allow_empty: directories without any document are no mistake.
        unchanged: documents that the caller knows to be as they were at the last run.
        embedder: for tests; the spec's model by default.

    Raises:
        LedgerBusy: another ingestion into the collection runs.
        IngestError, MilvusError, SpecError: nothing is half-written; run it again.
    """
    start = time.perf_counter()
    clock = Clock()
    wanted, model = collection_to_write(loaded, collection_name)
    found = find_documents(paths, root=root, allow_empty=allow_empty)
    file = letters_file(loaded, wanted.name)
    with (
        open_ledger(loaded) as ledger,
        ledger.run(wanted.name, wait=wait, waiting=waiting) as run,
        dead_letters(file) as letters,
        closing(
            make_cached(loaded, model, embedder) or embedder or make_embedder(loaded, model)
        ) as embed,
    ):
        cache = embed if isinstance(embed, CachedEmbedder) else None
        itself = cache.model if cache else embed
        refuse_switched(loaded, wanted)
        if not milvus.has_collection(wanted.name):
            # a wrong dimension must show before a collection is made for it
            itself.embed(["dimension"])
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
        plan = Planner(
            ledger, run, wanted, ensured.info.schema, tenant, embed.label, embed=embed.embed
        )
        writer = Writer(
            milvus,
            ledger,
            run,
            embed,
            wanted.fields,
            tenant=tenant,
            chunker=chunker,
            clock=clock,
            letters=letters,
        )
        handled = _write_each(
            found, plan, writer, letters, tenant, () if settled.notes else unchanged, progress
        )
        clock.lap("extract")
        writer.finish()
        found = found.without(handled.vanished)
        gone = plan.gone(found, all_others=prune)
        writer.remove(gone)
        if moved := plan.moved(found):
            ledger.place(run, tenant, moved)
        for doc_id in gone:
            letters.clear(tenant, doc_id)
        letters.drop_missing(tenant, [folder for folder, _ in found.walked])
        if prune and settled.strangers:
            writer.remove_strangers(settled.strangers)
            notes.append(f"{len(settled.strangers):,} rows that no ingestion wrote are removed")
        if progress is not None:
            progress(Progress(len(found.sources), len(found.sources), writer.rows_written))
        if writer.rows_written or writer.rows_deleted:
            milvus.flush(wanted.name)
        clock.lap("flush")
        asked = loaded.spec.ingest.verify
        seen, sample = read_back(
            milvus, ledger, run, ensured.info, wanted, sample=asked.spot_checks
        )
        spots = spot_check(milvus, ensured.info, wanted, itself, sample, asked)
        clock.lap("verify")
        if cache:
            notes += cache.notes
        rows, known = milvus.count(wanted.name), ledger.count(wanted.name)
        if rows != known:
            notes.append(
                f"the collection has {rows:,} rows, the ledger {known:,}; "
                "`kitestring drift` tells which differ"
            )
    unfinished = letters.documents
    failed, written = handled.failed, handled.written - unfinished
    return IngestReport(
        collection=wanted.name,
        tenant=tenant,
        model=model.label,
        chunker=chunker,
        documents=len(found.sources),
        documents_written=len(written),
        documents_unchanged=len(found.sources) - len(written) - len(unfinished),
        documents_removed=len(gone),
        rows_written=writer.rows_written,
        rows_deleted=writer.rows_deleted,
        rows=rows,
        seconds=time.perf_counter() - start,
        phases=clock.phases,
        failed=tuple(failed),
        documents_parked=len(unfinished) - len(failed),
        parked=tuple(letter for letter in letters.parked if letter.chunk is not None),
        dead_letters=len(letters.all),
        dead_letter_file=str(file) if letters.all else "",
        read_back=seen if seen.rows else None,
        spot_checks=spots if spots.passages or spots.inconclusive else None,
        cache=CacheUse(cache.hits, cache.misses) if cache and cache.hits + cache.misses else None,
        skipped=tuple(f"{path}: {why}" for path, why in found.skipped),
        made=ensured.made,
        notes=(*ensured.notes, *notes),
    )


@dataclass(frozen=True, slots=True)
class _Handled:
    """Documents of one ingestion, by what became of them; of the others nothing had changed."""

    failed: list[FailedDocument] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)  # deleted since the directory was listed


def _write_each(
    found: Found,
    plan: Planner,
    writer: Writer,
    letters: DeadLetters,
    tenant: str,
    unchanged: Collection[str],
    progress: OnProgress | None,
) -> _Handled:
    """Plans one document after the other and gives it to the writer; parks what can't be read."""
    handled = _Handled()
    for number, source in enumerate(found.sources, 1):
        if source.doc_id in unchanged:
            continue
        try:
            planned = plan.document(source)
        except (ExtractFailed, EmbedderFailed) as error:
            if isinstance(error, EmbedderFailed) and not (error.transient or error.texts):
                raise
            if found.missing(source.doc_id, source.root):
                handled.vanished.add(source.doc_id)
                continue
            handled.failed.append(FailedDocument(source.doc_id, error.message, error.hint))
            letters.park(
                tenant, source.doc_id, None, error.message, hint=error.hint, path=source.path
            )
            continue
        if planned is None:
            letters.clear(tenant, source.doc_id)
        else:
            writer.add(planned)
            if planned.rows or planned.surplus:
                handled.written.add(source.doc_id)
        if progress is not None:
            progress(Progress(number, len(found.sources), writer.rows_written))
    return handled


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

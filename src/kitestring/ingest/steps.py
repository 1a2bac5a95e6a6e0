"""The steps of one ingestion, in their order; what they find out goes into its report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from kitestring.clients.embedder import Embedder
from kitestring.clients.embedder.cache import CachedEmbedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import EmbedderFailed, ExtractFailed
from kitestring.ingest.deadletter import DeadLetters, letters_file
from kitestring.ingest.documents import Found
from kitestring.ingest.emptied import Emptied, emptied
from kitestring.ingest.ensure import ensure_collection
from kitestring.ingest.ledger import Ledger, Run
from kitestring.ingest.plan import Planner
from kitestring.ingest.reconcile import refuse_mixed, settle
from kitestring.ingest.verify import read_back, spot_check
from kitestring.ingest.write import Clock, Writer
from kitestring.model.ingest import (
    CacheUse,
    EmptiedFolder,
    FailedDocument,
    IngestReport,
    OnProgress,
    Progress,
    ReadBack,
    SpotChecks,
)
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec


@dataclass(frozen=True, slots=True)
class Handled:
    """Documents of one ingestion, by what became of them; of the others nothing had changed."""

    failed: list[FailedDocument] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)  # deleted since the directory was listed


class Steps:
    """One ingestion into one collection, with its lease held. Each step once, in this order:
    `prepare`, `write`, `remove`, `verify`, `report`."""

    writer: Writer

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        wanted: CollectionSpec,
        tenant: str,
        found: Found,
        ledger: Ledger,
        run: Run,
        letters: DeadLetters,
        embed: Embedder,
    ) -> None:
        self._loaded, self._milvus, self._wanted, self._tenant = loaded, milvus, wanted, tenant
        self._found, self._ledger, self._run, self._letters = found, ledger, run, letters
        self._embed = embed
        self._cache = embed if isinstance(embed, CachedEmbedder) else None
        self._itself = self._cache.model if self._cache else embed
        self._chunker = wanted.chunking.label if wanted.chunking else ""
        self._clock = Clock()
        self._handled = Handled()
        self._removed = 0
        self._emptied: tuple[Emptied, ...] = ()
        self._read_back: ReadBack | None = None
        self._spots: SpotChecks | None = None
        self._notes: list[str] = []

    def prepare(self, *, create: bool, allow_mixed: bool, verify: bool) -> None:
        """The collection as the spec wants it, and the ledger as the store is.

        Raises:
            IngestError, MilvusError, DimensionMismatch: nothing was written.
        """
        wanted, milvus = self._wanted, self._milvus
        if not milvus.has_collection(wanted.name):
            # a wrong dimension must show before a collection is made for it
            self._itself.embed(["dimension"])
        self._ensured = ensure_collection(self._loaded, milvus, wanted, create=create)
        if not allow_mixed:
            refuse_mixed(milvus, self._ledger, wanted, self._embed.label, self._chunker)
        self._settled = settle(
            milvus,
            self._ledger,
            self._run,
            self._ensured.info,
            wanted,
            tenant=self._tenant,
            documents={source.doc_id for source in self._found.sources},
            verify=verify,
        )
        self._notes += self._settled.notes
        self._clock.lap("prepare")

    def write(self, unchanged: Collection[str], progress: OnProgress | None) -> None:
        """Plans one document after the other and gives it to the writer; parks what can't be read.

        Args:
            unchanged: documents that need not be looked at, unless the store was not as it should.
        """
        self._plan = Planner(
            self._ledger,
            self._run,
            self._wanted,
            self._ensured.info.schema,
            self._tenant,
            self._embed.label,
            embed=self._embed.embed,
        )
        self.writer = Writer(
            self._milvus,
            self._ledger,
            self._run,
            self._embed,
            self._wanted.fields,
            tenant=self._tenant,
            chunker=self._chunker,
            clock=self._clock,
            letters=self._letters,
        )
        passed_over = () if self._settled.notes else unchanged
        self._write_each(passed_over, progress)
        self._clock.lap("extract")
        self.writer.finish()
        self._found = self._found.without(self._handled.vanished)

    def _write_each(self, unchanged: Collection[str], progress: OnProgress | None) -> None:
        handled, found, letters = self._handled, self._found, self._letters
        for number, source in enumerate(found.sources, 1):
            if source.doc_id in unchanged:
                continue
            try:
                planned = self._plan.document(source)
            except (ExtractFailed, EmbedderFailed) as error:
                if isinstance(error, EmbedderFailed) and not (error.transient or error.texts):
                    raise
                if found.missing(source.doc_id, source.root):
                    handled.vanished.add(source.doc_id)
                    continue
                handled.failed.append(FailedDocument(source.doc_id, error.message, error.hint))
                letters.park(
                    self._tenant,
                    source.doc_id,
                    None,
                    error.message,
                    hint=error.hint,
                    path=source.path,
                )
                continue
            if planned is None:
                letters.clear(self._tenant, source.doc_id)
            else:
                self.writer.add(planned)
                if planned.rows or planned.surplus:
                    handled.written.add(source.doc_id)
            if progress is not None:
                progress(Progress(number, len(found.sources), self.writer.rows_written))

    def remove(self, *, all_others: bool, emptied_too: bool) -> None:
        """Removes what is not there any more.

        Args:
            all_others: also documents of other directories, and rows that no ingestion wrote.
            emptied_too: also those of folders that may only be away.
        """
        plan, letters, tenant = self._plan, self._letters, self._tenant
        gone = plan.gone(self._found, all_others=all_others)
        if not emptied_too:
            self._emptied = emptied(self._found, gone, plan.roots)
            for folder in self._emptied:
                for doc_id in folder.documents:
                    del gone[doc_id]
        self.writer.remove(gone)
        self._removed = len(gone)
        if moved := plan.moved(self._found):
            self._ledger.place(self._run, tenant, moved)
        for doc_id in gone:
            letters.clear(tenant, doc_id)
        letters.drop_missing(tenant, [folder for folder, _ in self._found.walked])
        if all_others and self._settled.strangers:
            self.writer.remove_strangers(self._settled.strangers)
            self._notes.append(
                f"{len(self._settled.strangers):,} rows that no ingestion wrote are removed"
            )

    def verify(self) -> None:
        """Reads back what was written, and embeds some of it again."""
        milvus, wanted, info = self._milvus, self._wanted, self._ensured.info
        if self.writer.rows_written or self.writer.rows_deleted:
            milvus.flush(wanted.name)
        self._clock.lap("flush")
        asked = self._loaded.spec.ingest.verify
        self._read_back, sample = read_back(
            milvus, self._ledger, self._run, info, wanted, sample=asked.spot_checks
        )
        self._spots = spot_check(milvus, info, wanted, self._itself, sample, asked)
        self._clock.lap("verify")

    def report(self, seconds: float) -> IngestReport:
        """What it came to."""
        wanted, writer, letters, cache = self._wanted, self.writer, self._letters, self._cache
        notes = [*self._notes, *(cache.notes if cache else ())]
        rows, known = self._milvus.count(wanted.name), self._ledger.count(wanted.name)
        if rows != known:
            notes.append(
                f"the collection has {rows:,} rows, the ledger {known:,}; "
                "`kitestring drift` tells which differ"
            )
        unfinished = letters.documents
        failed, written = self._handled.failed, self._handled.written - unfinished
        documents = len(self._found.sources)
        seen, spots = self._read_back, self._spots
        return IngestReport(
            collection=wanted.name,
            tenant=self._tenant,
            model=self._embed.label,
            chunker=self._chunker,
            documents=documents,
            documents_written=len(written),
            documents_unchanged=documents - len(written) - len(unfinished),
            documents_removed=self._removed,
            rows_written=writer.rows_written,
            rows_deleted=writer.rows_deleted,
            rows=rows,
            seconds=seconds,
            phases=self._clock.phases,
            failed=tuple(failed),
            documents_parked=len(unfinished) - len(failed),
            parked=tuple(letter for letter in letters.parked if letter.chunk is not None),
            dead_letters=len(letters.all),
            dead_letter_file=str(letters_file(self._loaded, wanted.name)) if letters.all else "",
            read_back=seen if seen and seen.rows else None,
            spot_checks=spots if spots and (spots.passages or spots.inconclusive) else None,
            cache=CacheUse(cache.hits, cache.misses)
            if cache and cache.hits + cache.misses
            else None,
            skipped=tuple(f"{path}: {why}" for path, why in self._found.skipped),
            emptied=tuple(EmptiedFolder(str(e.folder), len(e.documents)) for e in self._emptied),
            made=self._ensured.made,
            notes=(*self._ensured.notes, *notes),
        )

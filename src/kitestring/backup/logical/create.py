"""Makes a backup by the logical method: rows as Parquet files.

The rows come from the cluster's segment files where those can be reached and are understood, else
over the API; each collection says which. From segment files they are exactly those of the
boundary. Over the API every write up to the boundary is in, and of later ones some may be.

Incremental: files of the logical backup before are taken over, without the rows that are gone;
only rows that are new or were written again are read with their vectors and stored. What tells
that is Milvus's timestamp of each row, or, over the API, the row contract (see
`kitestring.backup.logical.changes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kitestring.backup.catalog import open_catalog
from kitestring.backup.earlier import forget_damaged
from kitestring.backup.job import READING, Job, Leftover
from kitestring.backup.logical.before import comparable, find_before, load_parts
from kitestring.backup.logical.collect import Collected, Collector
from kitestring.backup.logical.from_api import FromApi
from kitestring.backup.logical.from_segments import FromSegments
from kitestring.backup.logical.rows import damaged
from kitestring.backup.logical.source import Contract, Source, contract_of, lean_memory
from kitestring.backup.logical.where import Filter, parse
from kitestring.backup.plan import Before, SegmentsGoneError, before_flush, check_clock, look, plan
from kitestring.backup.pool import POOL
from kitestring.backup.pool import Source as Stored
from kitestring.backup.session import Session
from kitestring.backup.surroundings import read_surroundings
from kitestring.backup.wanted import names_of
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import join, sha256_of
from kitestring.errors import (
    BackupError,
    BackupRefused,
    KitestringError,
    LocalNotRunning,
    MilvusError,
    ObjectMissing,
    ServerUnreachable,
    StoreError,
    UsageError,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject
from kitestring.model.collection import CollectionInfo
from kitestring.segments.plan import plan_files
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
AUTO, SEGMENTS, API = "auto", "segments", "api"


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows, where not all: a filter (see `kitestring.backup.logical.where`), partitions."""

    where: str = ""
    partitions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        named = f"partition in [{', '.join(self.partitions)}]" if self.partitions else ""
        return " and ".join(t for t in (f"({self.where})" if named and self.where else self.where,
                                        named) if t)  # fmt: skip


ALL = Part()


def create_logical(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    collections: Sequence[str] | None = None,
    part: Part = ALL,
    read_by: str = AUTO,
    full: bool = False,
    budget: Budget | None = None,
    on_event: OnEvent | None = None,
) -> BackupManifest:
    """Backs collections up: those named, or else all of the spec.

    A run that fails or is killed leaves no backup in the catalog and blocks nothing.

    Args:
        part: which of their rows.
        read_by: `segments` or `api`; `auto` for segments where that can be.
        full: take nothing over from the backup before.
        budget: instead of the spec's.

    Raises:
        BackupRefused: a precondition does not hold; no backup was made.
        UsageError: the filter is none for one of the collections.
        BackupBusy: another backup runs.
        Interrupted: it was cancelled.
        StoreError, BackupError, SegmentUnreadable, MilvusError.
    """
    if read_by not in (AUTO, SEGMENTS, API):
        raise UsageError(f"rows are read by `{SEGMENTS}` or `{API}`, not by `{read_by}`")
    tell = on_event or (lambda _line: None)
    catalog = open_catalog(loaded)
    catalog.prepare(loaded.spec.cluster.name)
    names, excluded = names_of(loaded, milvus, collections)
    session = Session(loaded, catalog, budget)

    def make(job: Job, _dead: Sequence[Leftover]) -> BackupManifest:
        run = _Run(loaded, milvus, session, job, part, read_by, full, tell)
        return run.make(names, excluded)

    with lean_memory():
        manifest = session.run(make, tell)
    total = manifest.copied_bytes + manifest.reused_bytes
    tell(
        f"{manifest.id}: {manifest.rows:,} rows, {manifest.copied_bytes:,} bytes written, "
        f"{manifest.reused_bytes:,} reused ({manifest.reused_bytes / max(1, total):.0%})"
    )
    return manifest


@dataclass(frozen=True, slots=True)
class _Ready:
    """A collection, and where its rows come from."""

    info: CollectionInfo
    contract: Contract
    source: Source
    notes: tuple[str, ...]


class _Run:
    """One backup, with the lock held."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        session: Session,
        job: Job,
        part: Part,
        read_by: str,
        full: bool,
        tell: OnEvent,
    ) -> None:
        self.loaded, self.milvus, self.session, self.job = loaded, milvus, session, job
        self.part, self.read_by, self.full, self.tell = part, read_by, full, tell
        self.catalog, self.pool, self.cluster = session.catalog, session.pool, session.cluster

    def make(self, names: Sequence[str], excluded: Sequence[str]) -> BackupManifest:
        infos = {name: self.milvus.describe(name) for name in names}
        filters = {name: self._filter(info) for name, info in infos.items()}
        around = read_surroundings(self.milvus)
        stored, why = self._stored()
        before = {name: self._look(stored, name) for name in names} if stored else {}
        boundary, flushed = self._flush(names)
        # all plans before the first row is read: files of replaced segments are not kept for ever
        ready = [
            self._ready(infos[name], filters[name], stored, before.get(name, why), flushed)
            for name in names
        ]
        earlier = {} if self.full else find_before(self.catalog, self.cluster, names)
        done: list[CollectionBackup] = []
        written: list[StoredObject] = []
        with self.session.guarded(self.milvus, list(infos.values()), self.tell):
            for one in ready:
                collection, new = self._collection(one, earlier.get(one.info.name))
                done.append(collection)
                written += new
        forget_damaged(self.catalog.store, {o.key for o in written})
        return self.session.manifest(
            self.job,
            self.milvus,
            around,
            method="logical",
            boundary=boundary,
            collections=tuple(done),
            excluded=excluded,
            written={o.key: o.size for o in written},
            read_back="new" if self.catalog.can_read else "none",
        )

    def _filter(self, info: CollectionInfo) -> Filter | None:
        by_key = any(f.partition_key for f in info.schema.fields)
        if self.part.partitions and by_key:
            raise BackupRefused(
                f"`{info.name}` is partitioned by a key: one of its partitions holds rows of "
                "several values",
                hint="filter by the key: --where",
                subject=info.name,
            )
        known = {p.name for p in info.partitions}
        for name in self.part.partitions:
            if name not in known:
                raise BackupRefused(
                    f"`{info.name}` has no partition `{name}`",
                    hint=f"it has {', '.join(sorted(known)[:20])}",
                    subject=name,
                )
        return parse(self.part.where, info.schema) if self.part.where else None

    def _stored(self) -> tuple[Stored | None, str]:
        """The cluster's own store; None and why not where rows are to come over the API."""
        if self.read_by == API:
            return None, "as asked for"
        try:
            store, root = open_segment_store(self.loaded)
            stored = Stored(self.session.within(store), root)
            next(iter(stored.store.list(stored.key("insert_log/"))), None)
        except (StoreError, LocalNotRunning) as error:
            if self.read_by == SEGMENTS:
                raise
            return None, error.message
        return stored, ""

    def _look(self, stored: Stored, name: str) -> Before | str:
        try:
            return look(self.milvus, stored, name)
        except BackupRefused as error:
            if self.read_by == SEGMENTS:
                raise
            return error.message

    def _flush(self, names: Sequence[str]) -> tuple[int, Flushed | None]:
        self.tell(f"flushing {', '.join(names)}")
        asked = before_flush()
        try:
            flushed = self.milvus.flush_through(list(names))
        except ServerUnreachable:
            raise
        except MilvusError as error:
            if self.read_by == SEGMENTS:
                raise
            self.tell(f"the server does not flush ({error.message}): rows are read over the API")
            return asked, None
        check_clock(flushed, asked)
        return flushed.until, flushed

    def _ready(
        self,
        info: CollectionInfo,
        where: Filter | None,
        stored: Stored | None,
        before: Before | str,
        flushed: Flushed | None,
    ) -> _Ready:
        contract = contract_of(self.loaded, info.name, info.schema)
        why = before if isinstance(before, str) else ""
        if stored is not None and isinstance(before, Before) and flushed is not None:
            try:
                source = self._segments(info, where, contract, stored, before, flushed)
                return _Ready(info, contract, source, ())
            except (SegmentsGoneError, KitestringError) as error:
                if self.read_by == SEGMENTS:
                    raise
                why = str(error)
        if not info.loaded:
            raise BackupRefused(
                f"`{info.name}` can't be read over the API: it is not loaded",
                hint=f"load it, or let its segment files be read ({why or 'not reachable'})",
                subject=info.name,
            )
        if info.schema.primary.type == "INT64":
            self.milvus.check_all_given(
                info.name,
                info.schema.primary.name,
                filter=where.as_milvus() if where else "",
                partitions=self.part.partitions,
            )
        source = FromApi(
            self.milvus, info, flushed.until if flushed else None, contract, where,
            self.part.partitions or None,
        )  # fmt: skip
        notes = (
            f"read over the API ({why or 'the server does not flush'}): every write before the "
            "boundary is in; of later ones some may be",
        )
        return _Ready(info, contract, source, notes)

    def _segments(
        self,
        info: CollectionInfo,
        where: Filter | None,
        contract: Contract,
        stored: Stored,
        before: Before,
        flushed: Flushed,
    ) -> Source:
        planned = plan(self.milvus, stored, before, flushed.segments[info.name], flushed.until)
        wanted = {p.id for p in info.partitions if p.name in self.part.partitions}
        files = {
            placed.ref: placed.files
            for placed in planned.segments
            if not wanted or placed.ref.partition in wanted
        }
        parts = plan_files(info.schema, files, planned.rows, flushed.until << 18)
        return FromSegments(stored.store, info, parts, contract, where)

    def _collection(
        self, ready: _Ready, before: CollectionBackup | None
    ) -> tuple[CollectionBackup, tuple[StoredObject, ...]]:
        info, source = ready.info, ready.source
        self.job.phase(READING, info.name)
        folder = join(POOL, self.catalog.pool_name(self.cluster), "rows", info.name)
        collector = Collector(
            self.pool, folder, info.name, info.schema, ready.contract,
            plan=self.job.plan, beat=self.job.beat,
        )  # fmt: skip
        found, notes = self._collected(collector, ready, before, folder)
        self._read_back(found.written)
        notes += self._counted(ready, found.digest.rows)
        for line in notes:
            self.tell(f"{info.name}: {line}")
        total = sum(o.size for p in found.parts for o in p.objects)
        new = sum(o.size for o in found.written)
        self.tell(
            f"{info.name}: {found.digest.rows:,} rows by {source.read_by}, {new:,} bytes written, "
            f"{max(0, total - new):,} taken over"
        )
        of_all = CollectionBackup.of(info, (), found.digest, found.models, found.deleted)
        made = replace(
            of_all,
            parts=found.parts,
            filter=self.part.text,
            read_by=source.read_by,
            notes=tuple(notes),
        )
        return made, found.written

    def _collected(
        self,
        collector: Collector,
        ready: _Ready,
        before: CollectionBackup | None,
        folder: str,
    ) -> tuple[Collected, list[str]]:
        notes = list(ready.notes)
        try:
            if before is None:
                return collector.everything(ready.source), notes
            if _shape(before) != _shape(ready.info):
                self.tell(f"{before.name}: its schema has changed, all rows are read")
                return collector.everything(ready.source), notes
            if not self.catalog.can_read:
                self.tell(f"{before.name}: this host has no key that opens backups: all rows are "
                          "read")  # fmt: skip
                return collector.everything(ready.source), notes
            parts, said = load_parts(self.pool, before, folder)
            for line in said:
                self.tell(f"{before.name}: {line}")
            by, usable = comparable(parts, ready.source.read_by, ready.contract)
            if by and len(usable) < len(parts):
                self.tell(
                    f"{before.name}: {len(parts) - len(usable)} files are not taken over: when "
                    "their rows were written is not known"
                )
            if not by:
                missing = "the content hash or the time of embedding"
                notes.append(
                    f"all rows are read: nothing tells which have changed; name {missing} in "
                    "`fields` of the spec, or let segment files be read"
                )
                return collector.everything(ready.source), notes
            if by == "mark":
                notes.append(
                    f"rows with the same {', '.join(ready.contract.marks)} as before are taken "
                    "for unchanged"
                )
            return collector.changes(ready.source, usable, by), notes
        except (ObjectMissing, SegmentsGoneError) as error:
            raise BackupError(
                f"segments were collected while they were read: {error}",
                hint="run it again; raise `dataCoord.gc.dropTolerance` of the server: hours, "
                "not seconds",
            ) from None

    def _counted(self, ready: _Ready, rows: int) -> list[str]:
        """Over the API: whether the server gives as many rows as it counts."""
        if ready.source.read_by != API:
            return []
        where = self._filter(ready.info)
        counted = self.milvus.count(
            ready.info.name,
            filter=where.as_milvus() if where else "",
            partitions=self.part.partitions,
        )
        if counted == rows:
            return []
        return [
            f"the server counts {counted:,} rows and gave {rows:,}: it gives rows of one key "
            "once, and rows may have been written meanwhile"
        ]

    def _read_back(self, written: Sequence[StoredObject]) -> None:
        """Every object that is new is in the store as it was written."""
        if not self.catalog.can_read:
            return
        for stored in written:
            self.job.beat()
            if sha256_of(self.pool, stored.key) != (stored.size, stored.sha256):
                raise damaged(stored.key, "the store does not give back what was written")


def _shape(collection: CollectionBackup | CollectionInfo) -> Mapping[str, object]:
    """What has to be the same for files to be taken over."""
    fields = tuple(replace(f, description="") for f in collection.schema.fields)
    return {"fields": fields, "dynamic": collection.schema.dynamic}

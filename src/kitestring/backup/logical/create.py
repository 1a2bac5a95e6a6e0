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
from dataclasses import replace

from kitestring.backup.catalog import open_catalog
from kitestring.backup.earlier import forget_damaged
from kitestring.backup.job import READING, Job, Leftover
from kitestring.backup.logical.before import comparable, find_before, load_parts
from kitestring.backup.logical.collect import Collected, Collector
from kitestring.backup.logical.part import ALL, Part, filter_of
from kitestring.backup.logical.prepare import API, AUTO, SEGMENTS, Preparation, Ready
from kitestring.backup.logical.rows import damaged
from kitestring.backup.plan import SegmentsGoneError
from kitestring.backup.pool import POOL
from kitestring.backup.session import Session
from kitestring.backup.surroundings import read_surroundings
from kitestring.backup.wanted import names_of
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.protocol import join, sha256_of
from kitestring.errors import (
    BackupError,
    ObjectMissing,
    UsageError,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject
from kitestring.model.collection import CollectionInfo
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]


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

    manifest = session.run(make, tell)
    total = manifest.copied_bytes + manifest.reused_bytes
    tell(
        f"{manifest.id}: {manifest.rows:,} rows, {manifest.copied_bytes:,} bytes written, "
        f"{manifest.reused_bytes:,} reused ({manifest.reused_bytes / max(1, total):.0%})"
    )
    return manifest


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
        filters = {name: filter_of(self.part, info) for name, info in infos.items()}
        around = read_surroundings(self.milvus)
        first = Preparation(
            self.loaded, self.milvus, self.session, self.part, self.read_by, self.tell
        )
        stored, why = first.stored()
        before = {name: first.look(stored, name) for name in names} if stored else {}
        boundary, flushed = first.flush(names)
        # all plans before the first row is read: files of replaced segments are not kept for ever
        ready = [
            first.ready(infos[name], filters[name], stored, before.get(name, why), flushed)
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

    def _collection(
        self, ready: Ready, before: CollectionBackup | None
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
        ready: Ready,
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

    def _counted(self, ready: Ready, rows: int) -> list[str]:
        """Over the API: whether the server gives as many rows as it counts."""
        if ready.source.read_by != API:
            return []
        where = filter_of(self.part, ready.info)
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

"""Takes a backup made by milvus-backup into the catalog; the backup itself is only read.

The boundary: milvus-backup flushes each collection on its own and notes the second in which it
did. What was written before the first of these is in, so that is the boundary; where rows of that
very second are in the files, it moves on behind the last of them: it is true to a second. Rows and
deletes that came later are left out, as with backups of our own: without that, an upsert in the
middle could take its old row away and not be there itself. How many rows that concerns is said in
`excluded`; imported alone, each collection keeps a boundary of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from kitestring import __version__
from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.census import take_census
from kitestring.backup.imported.definitions import (
    access_of,
    consistency_of,
    indexes_of,
    left_out,
    schema_of,
)
from kitestring.backup.imported.files import Files, SegmentPlan, shared_source, sources_of
from kitestring.backup.imported.meta import ForeignBackup, ForeignCollection, read_meta
from kitestring.backup.imported.take import Bringer, Taken
from kitestring.backup.interrupts import stoppable
from kitestring.backup.lock import Lock, held
from kitestring.backup.pool import PoolReader
from kitestring.backup.wanted import label_of
from kitestring.clients.store.connect import check_store
from kitestring.clients.store.protocol import ObjectStore
from kitestring.clients.store.retrying import sturdy
from kitestring.errors import BackupNotFound, ImportRefused
from kitestring.model.backup import (
    BackupManifest,
    CollectionBackup,
    SegmentBackup,
)
from kitestring.model.collection import Partition, Schema
from kitestring.segments.columns import TIMESTAMP_FIELD
from kitestring.segments.layout import SegmentRef, backed_up_files
from kitestring.segments.reader import system_column
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
_SECOND = 1000  # ms


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to. `new` is False when the backup was in the catalog before."""

    manifest: BackupManifest
    new: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """One collection to be imported."""

    foreign: ForeignCollection
    schema: Schema
    plans: list[SegmentPlan]


def import_backup(
    loaded: LoadedSpec,
    folder: ObjectStore,
    *,
    collections: Sequence[str] | None = None,
    database: str | None = None,
    cluster: str | None = None,
    on_event: OnEvent | None = None,
) -> Imported:
    """Imports the backup whose folder (with `meta/` and `binlogs/`) the store is.

    Args:
        collections: by name; None for all of the database.
        database: needed where the backup has collections of several.
        cluster: under which name it is in the catalog; None for the spec's.

    Raises:
        ImportRefused: the backup is broken, or holds what can't be taken over; it names the file.
        SegmentUnreadable: a binlog is damaged.
        BackupBusy, StoreFull, StoreUnreachable. In each case nothing is left of the import.
    """
    tell = on_event or (lambda _line: None)
    foreign = read_meta(folder)
    chosen = _choose(foreign, database, collections)
    parts = [_Part(c, schema_of(c), []) for c in chosen]
    name = cluster or loaded.spec.cluster.name
    tell(f"{foreign.origin}: {len(parts)} collections, {sum(_rows(c) for c in chosen):,} rows")
    files = Files(folder)
    parts = [replace(p, plans=files.plan(p.foreign)) for p in parts]
    catalog = open_catalog(loaded)
    backup_id = _backup_id(foreign, chosen, name)
    already = _already(catalog, backup_id, foreign.origin)
    if already is not None:
        return Imported(already, new=False)
    catalog.prepare(name)
    if loaded.spec.backup is not None:
        check_store(loaded, loaded.spec.backup.store)
    folder = sturdy(folder)
    catalog.use(sturdy(catalog.store))
    with stoppable(), held(catalog.store, "an import") as lock:
        for line in catalog.sweep_partials():
            tell(line)
        run = _Run(loaded, foreign, catalog, lock, tell)
        bringer = Bringer(folder, catalog, name)
        with bringer.undone():
            manifest = run.manifest(parts, bringer, backup_id, name, len(chosen))
            if files.unused and len(chosen) == len(foreign.collections):
                tell(f"{files.unused} files that the metadata do not name were left out")
            catalog.publish(manifest, lock)
        if catalog.can_read:
            catalog.mark_verified(manifest.id, "full")  # just now, and not when it was made
    return Imported(manifest, new=True)


class _Run:
    """One import, with the lock held."""

    def __init__(
        self,
        loaded: LoadedSpec,
        foreign: ForeignBackup,
        catalog: Catalog,
        lock: Lock,
        tell: OnEvent,
    ) -> None:
        self.loaded, self.foreign, self.catalog = loaded, foreign, catalog
        self.lock, self.tell = lock, tell

    def manifest(
        self, parts: Sequence[_Part], bringer: Bringer, backup_id: str, cluster: str, chosen: int
    ) -> BackupManifest:
        excluded = self._not_chosen(parts) if chosen < len(self.foreign.collections) else []
        wanted = sources_of({str(p.foreign.id): p.plans for p in parts})
        self.tell(f"copying {len(wanted)} files")
        bringer.take(wanted, self.lock.renew)
        taken = bringer.taken
        reader = self._reader(parts, bringer)
        times = {p.foreign.id: self._times(reader, p, taken) for p in parts}
        boundary, known = _boundary(self.foreign, parts, times)
        if not known:
            excluded.append("the time of the flush: the boundary is that of the newest row")
        made = []
        for part in parts:
            self.tell(f"reading the rows of {part.foreign.name}")
            made.append(self._collection(reader, part, taken, boundary))
            late = int((times[part.foreign.id] > boundary << 18).sum())
            if late:
                excluded.append(
                    f"{late:,} rows of `{part.foreign.name}` that were written after the boundary"
                )
        reader.rest()
        excluded += left_out(self.foreign, [p.foreign for p in parts])
        return BackupManifest(
            id=backup_id,
            cluster=cluster,
            method="physical",
            created_at=self.foreign.started or boundary,
            finished_at=max(self.foreign.finished, boundary),
            boundary=boundary,
            server_version=self.foreign.server_version or "unknown",
            tool_version=__version__,
            collections=tuple(made),
            excluded=tuple(excluded),
            copied_bytes=taken.copied_bytes,
            reused_bytes=taken.reused_bytes,
            database=parts[0].foreign.database,
            access=access_of(self.foreign, parts[0].foreign.database),
            origin=self.foreign.origin,
            read_back="all" if self.catalog.can_read else "none",
        )

    def _not_chosen(self, parts: Sequence[_Part]) -> list[str]:
        chosen = {p.foreign.id for p in parts}
        return [f"{c.database}.{c.name}" for c in self.foreign.collections if c.id not in chosen]

    def _reader(self, parts: Sequence[_Part], bringer: Bringer) -> PoolReader:
        """Reads what was copied; on a host that can seal and not open, what it was copied from."""
        stored = bringer.taken.stored
        objects = [o for p in parts for s in p.plans for o in _segment(s, bringer.taken).objects]
        if self.catalog.can_read:
            return PoolReader(self.catalog.store, objects)
        origin = {found.key: key for key, found in stored.items()}
        return PoolReader(
            self.catalog.store, objects, read=lambda wanted: bringer.original(origin[wanted.key])
        )

    def _times(self, reader: PoolReader, part: _Part, taken: Taken) -> npt.NDArray[np.int64]:
        """When each row was written; counts them against the metadata on the way."""
        found = [np.empty(0, np.int64)]
        for plan in part.plans:
            self.lock.renew()
            segment = plan.segment
            ref = SegmentRef(segment.collection, segment.partition, segment.id)
            files = backed_up_files(_segment(plan, taken), ref.collection)
            times = [
                system_column(reader, files, TIMESTAMP_FIELD, log, ref) for log in range(files.logs)
            ]
            rows = sum(map(len, times))
            if rows != segment.rows:
                raise ImportRefused(
                    f"the metadata say that the segment {segment.id} of `{part.foreign.name}` has "
                    f"{segment.rows} rows, but its files hold {rows}",
                    hint="the backup is damaged: files are missing or the metadata were changed",
                    subject=str(ref),
                )
            found += times
        return np.concatenate(found)

    def _collection(
        self, reader: PoolReader, part: _Part, taken: Taken, boundary: int
    ) -> CollectionBackup:
        foreign, node = part.foreign, part.foreign.node
        segments = tuple(_segment(plan, taken) for plan in part.plans)
        census = take_census(
            reader,
            foreign.id,
            part.schema,
            segments,
            boundary=boundary,
            label=label_of(self.loaded, foreign.name, part.schema),
            alive=self.lock.renew,
        )
        loaded = node.text("load_state") == "Loaded"
        return CollectionBackup(
            name=foreign.name,
            id=foreign.id,
            schema=part.schema,
            shards=node.int("shards_num") or 1,
            partitions=tuple(Partition(n, i) for i, n in sorted(foreign.partitions.items())),
            consistency=consistency_of(foreign),
            properties=node.pairs("properties"),
            indexes=indexes_of(foreign),
            aliases=node.texts("aliases"),
            loaded=loaded,
            replicas=1 if loaded else 0,
            segments=census.segments,
            digest=census.digest,
            models=census.models,
            deleted_keys=census.deleted_keys,
        )


def _segment(plan: SegmentPlan, taken: Taken) -> SegmentBackup:
    segment = plan.segment
    own = {f.source: taken.stored[f.info.key] for f in (*plan.insert, *plan.delta)}
    shared = (
        replace(taken.stored[f.info.key], source=shared_source(f, segment)) for f in plan.shared
    )
    return SegmentBackup(
        id=segment.id,
        partition_id=segment.partition,
        rows=segment.rows,
        insert=tuple(own[f.source] for f in plan.insert),
        delta=(*(own[f.source] for f in plan.delta), *shared),
    )


def _choose(
    foreign: ForeignBackup, database: str | None, names: Sequence[str] | None
) -> list[ForeignCollection]:
    if database is None:
        if len(foreign.databases) > 1:
            raise ImportRefused(
                f"the backup has collections of several databases: {', '.join(foreign.databases)}",
                hint="import one at a time with --database",
            )
        database = foreign.databases[0]
    there = {c.name: c for c in foreign.collections if c.database == database}
    if not there:
        raise ImportRefused(
            f"the backup has no collection of the database `{database}`",
            hint=f"it has {', '.join(foreign.databases)}",
        )
    unknown = [name for name in names or () if name not in there]
    if unknown:
        raise ImportRefused(
            f"the backup has no collection `{unknown[0]}`", hint=f"it has {', '.join(there)}"
        )
    return [c for name, c in there.items() if not names or name in names]


def _boundary(
    foreign: ForeignBackup,
    parts: Sequence[_Part],
    times: Mapping[int, npt.NDArray[np.int64]],
) -> tuple[int, bool]:
    """The boundary in ms since the epoch, and whether it comes from what was recorded."""
    sealed = [part.foreign.sealed for part in parts]
    if all(sealed):
        begin = min(sealed) * _SECOND
        found = [times[p.foreign.id] >> 18 for p in parts if p.foreign.sealed == min(sealed)]
        rows = np.concatenate(found)
        within = rows[(rows >= begin) & (rows < begin + _SECOND)]
        return int(within.max()) + 1 if len(within) else begin, True
    if foreign.started:
        return foreign.started, True
    newest = max((int(found.max()) for found in times.values() if len(found)), default=0)
    if not newest:
        raise ImportRefused("the backup says no time, and has no rows to tell it from")
    return (newest >> 18) + 1, False


def _backup_id(foreign: ForeignBackup, chosen: Sequence[ForeignCollection], cluster: str) -> str:
    """The same for the same backup, and in its place by time among the others."""
    sealed = min((c.sealed for c in chosen if c.sealed), default=0)
    # Milvus takes its ids from its clock, as it does timestamps
    newest = max((s.id >> 18 for c in chosen for s in c.segments), default=0) // _SECOND
    seconds = foreign.started // _SECOND or sealed or newest
    names = ",".join(sorted(f"{c.database}.{c.name}.{c.id}" for c in chosen))
    told = hashlib.sha256(f"{foreign.origin}|{cluster}|{names}".encode()).hexdigest()
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}-{told[:6]}"


def _already(catalog: Catalog, backup_id: str, origin: str) -> BackupManifest | None:
    try:
        manifest = catalog.manifest(backup_id)
    except BackupNotFound:
        return None
    if manifest.origin != origin:
        raise ImportRefused(
            f"the catalog has another backup of the id {backup_id}", subject=backup_id
        )
    return manifest


def _rows(collection: ForeignCollection) -> int:
    return sum(s.rows for s in collection.segments if not s.deletes_only)

"""Makes a backup by the physical method.

Why the boundary holds: the server answers a flush with the timestamp that it has given it, and
the flush is done once every channel's checkpoint has passed that timestamp, so each write with a
smaller one is in a segment's logs. Writes get their timestamps from the same clock before they
are acknowledged. The boundary is that timestamp in whole milliseconds, rounded down; rows and
deletes with a later one are left out when the backup is read or restored, and the segments are
those that the flush has named. Without that, an upsert that comes while the backup runs could take
its old row away (by a delta log, or by a compaction that drops it) and not be there itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kitestring import __version__
from kitestring.backup import pool
from kitestring.backup.catalog import Catalog, new_backup_id, open_catalog
from kitestring.backup.census import take_census
from kitestring.backup.interrupts import stoppable
from kitestring.backup.late import Placed, late_segments
from kitestring.backup.lock import Lock, held
from kitestring.clients.milvus.protocol import Flushed, Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectInfo
from kitestring.errors import (
    BackupError,
    BackupRefused,
    ObjectMissing,
    SegmentUnreadable,
    UsageError,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, SegmentBackup, StoredObject
from kitestring.model.collection import CollectionInfo, Segment
from kitestring.segments.layout import collection_files, segment_files, segment_ids
from kitestring.segments.reader import SegmentRef, refuse_unknown, rows_written
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
_TICK = 0.2  # seconds; the server's clock ticks every 50 ms
_SKEW = 60_000  # ms that the server's clock and ours may differ by
_TRIES = 3  # flushes, when segments are collected while they are copied
FLUSHED = "Flushed"


def create_backup(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    collections: Sequence[str] | None = None,
    on_event: OnEvent | None = None,
) -> BackupManifest:
    """Backs collections up: those named, or else all of the spec.

    A run that fails or is killed leaves no backup in the catalog and blocks nothing.

    Raises:
        BackupRefused: a precondition does not hold; nothing was written.
        BackupBusy: another backup runs.
        StoreFull, StoreUnreachable, BackupError, SegmentUnreadable, MilvusError.
    """
    tell = on_event or (lambda _line: None)
    catalog = open_catalog(loaded)
    source = pool.Source(*open_segment_store(loaded))
    names, excluded = _names(loaded, milvus, collections)
    with stoppable(), held(catalog.store, "a backup") as lock:
        for line in catalog.sweep_partials():
            tell(line)
        return _Run(loaded, milvus, catalog, source, lock, tell).run(names, excluded)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be copied of one collection."""

    info: CollectionInfo
    segments: tuple[Placed, ...]
    rows: Mapping[int, int]  # segment id -> rows as written, where the server has said so


@dataclass(frozen=True, slots=True)
class _Before:
    """What there was just before the flush."""

    info: CollectionInfo
    segments: tuple[Segment, ...]
    ids: frozenset[int]  # of all segments with files, dead ones too


class _GoneError(Exception):
    """Files of a segment were collected before they could be copied."""


class _Run:
    """One backup, with the lock held."""

    def __init__(
        self,
        loaded: LoadedSpec,
        milvus: Milvus,
        catalog: Catalog,
        source: pool.Source,
        lock: Lock,
        tell: OnEvent,
    ) -> None:
        self.loaded, self.milvus, self.catalog = loaded, milvus, catalog
        self.source, self.lock, self.tell = source, lock, tell
        self.cluster = loaded.spec.cluster.name
        self.tally = pool.Tally()
        newest = catalog.newest(self.cluster)
        self.known = pool.known_objects(catalog.store, self.cluster, newest)

    def run(self, names: Sequence[str], excluded: Sequence[str]) -> BackupManifest:
        created = _now()
        for _ in range(_TRIES):
            try:
                boundary, done = self._attempt(names)
                break
            except (ObjectMissing, _GoneError) as error:
                self.tell(f"segments were collected meanwhile ({error}); flushing again")
        else:
            raise BackupError(
                "the server kept removing segments while they were copied",
                hint="raise `dataCoord.gc.dropTolerance` of the server: hours, not seconds",
            )
        total = sum({o.key: o.size for c in done for s in c.segments for o in s.objects}.values())
        manifest = BackupManifest(
            id=new_backup_id(datetime.fromtimestamp(created / 1000, UTC)),
            cluster=self.cluster,
            method="physical",
            created_at=created,
            finished_at=_now(),
            boundary=boundary,
            server_version=self.milvus.version(),
            tool_version=__version__,
            collections=done,
            excluded=tuple(excluded),
            copied_bytes=self.tally.copied_bytes,
            reused_bytes=max(0, total - self.tally.copied_bytes),
        )
        self.catalog.publish(manifest, self.lock)
        self.tell(
            f"{manifest.id}: {manifest.rows:,} rows, {manifest.copied_bytes:,} bytes copied, "
            f"{manifest.reused_bytes:,} reused"
        )
        return manifest

    def _attempt(self, names: Sequence[str]) -> tuple[int, tuple[CollectionBackup, ...]]:
        before = {name: self._look(name) for name in names}
        flushed = self._flush(names)
        # all plans before the first copy: files of replaced segments are not kept for ever
        plans = [self._plan(before[n], flushed.segments[n], flushed.until) for n in names]
        return flushed.until, tuple(self._copy(plan, flushed.until) for plan in plans)

    def _look(self, name: str) -> _Before:
        info = self.milvus.describe(name)
        ids = segment_ids(self.source.store, self.source.root, info.id)
        return _Before(info, tuple(self.milvus.segments(name)), frozenset(ids))

    def _flush(self, names: Sequence[str]) -> Flushed:
        self.tell(f"flushing {', '.join(names)}")
        time.sleep(_TICK)  # so that what was acknowledged before we were called is in
        asked = _now()
        flushed = self.milvus.flush_through(names)
        ahead = flushed.until - asked
        if abs(ahead) > _SKEW:
            raise BackupRefused(
                f"the server's clock and this machine's differ by {ahead / 1000:.0f} s: the age "
                "of a backup would be wrong",
                hint="set both by NTP",
            )
        return flushed

    def _plan(self, before: _Before, ids: Sequence[int], until: int) -> _Plan:
        """The objects of the segments that hold the rows at the boundary.

        Those are the ones that the flush has named, also where compaction has replaced one since:
        the files of a replaced segment stay for hours, and deletes that came after the boundary
        may have taken rows from its replacement. And the late ones: see `backup.late`.
        """
        info = before.info
        live = {s.id: s for s in self.milvus.segments(info.name)}
        known = {s.id: s for s in before.segments} | live
        for segment in known.values():
            try:
                refuse_unknown(segment)
            except SegmentUnreadable as error:
                raise BackupRefused(error.message, hint=error.hint, subject=info.name) from None
        found = {
            id_: Placed(SegmentRef(info.id, partition, id_), files)
            for (partition, id_), files in collection_files(
                self.source.store, self.source.root, info.id
            ).items()
            if files.insert
        }
        for id_ in set(ids) - set(found):
            self._explain_absence(info.name, id_, live.get(id_), known.get(id_))
        named = [found[id_] for id_ in ids if id_ in found]
        others = [p for id_, p in found.items() if id_ not in before.ids and id_ not in ids]
        late = late_segments(self.source.store, named, others, until << 18)
        rows = {id_: s.rows for id_, s in known.items() if id_ in ids and s.state == FLUSHED}
        return _Plan(info, (*named, *late), rows)

    def _explain_absence(
        self, name: str, id_: int, live: Segment | None, known: Segment | None
    ) -> None:
        """A segment of the flush has no files: that is right only for one without rows."""
        if live is not None and live.rows:
            raise BackupRefused(
                f"segment {id_} of `{name}` is live, but it has no files below "
                f"{self.source.store.url}/{self.source.root}",
                hint="correct `storage` in the spec: the bucket and root path of the server",
                subject=name,
            )
        if known is not None and known.rows:
            raise _GoneError(f"segment {id_} of {name}")

    def _copy(self, plan: _Plan, boundary: int) -> CollectionBackup:
        info = plan.info
        objects = [o for placed in plan.segments for o in placed.files.all()]
        self.tell(f"{info.name}: {len(plan.segments)} segments, {len(objects)} objects")
        stored = pool.take_all(
            self.source,
            self.catalog.store,
            self.cluster,
            objects,
            self.known,
            tally=self.tally,
            alive=self.lock.renew,
        )
        self.tell(f"{info.name}: reading it back from the backup")
        reader = pool.PoolReader(
            self.catalog.store,
            stored.values(),
            repair=pool.repairer(self.source, self.catalog.store),
        )
        segments = tuple(
            self._segment(reader, placed, plan.rows.get(placed.ref.segment), stored)
            for placed in plan.segments
        )
        census = take_census(
            reader,
            info.id,
            info.schema,
            segments,
            boundary=boundary,
            label=_label(self.loaded, info),
            alive=self.lock.renew,
        )
        reader.rest()
        return CollectionBackup(
            name=info.name,
            id=info.id,
            schema=info.schema,
            shards=info.shards,
            partitions=info.partitions,
            consistency=info.consistency,
            properties=info.properties,
            indexes=tuple(state.index for state in info.indexes),
            aliases=info.aliases,
            loaded=info.loaded,
            replicas=info.replicas,
            segments=segments,
            digest=census.digest,
            models=census.models,
            deleted_keys=census.deleted_keys,
        )

    def _segment(
        self,
        reader: pool.PoolReader,
        placed: Placed,
        rows: int | None,
        stored: Mapping[str, StoredObject],
    ) -> SegmentBackup:
        ref, files = placed.ref, placed.files

        def of(infos: Iterable[ObjectInfo]) -> tuple[StoredObject, ...]:
            return tuple(stored[self.source.relative(o.key)] for o in infos)

        if rows is None:  # late, or replaced before the server was asked how many it has
            in_pool = segment_files(reader, "", ref.collection, ref.partition, ref.segment)
            rows = rows_written(reader, in_pool, ref)
        return SegmentBackup(
            id=ref.segment,
            partition_id=ref.partition,
            rows=rows,
            insert=of(o for logs in files.insert.values() for o in logs),
            delta=of(files.delta),
            stats=of(files.stats),
        )


def _names(
    loaded: LoadedSpec, milvus: Milvus, asked: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """What to back up, and what of the server is left out; by their real names."""
    if asked is not None and not asked:
        raise UsageError("no collection is named")
    there = milvus.list_collections()
    wanted = list(asked) if asked is not None else [c.name for c in loaded.spec.collections]
    wanted = wanted or there
    missing = [name for name in wanted if not milvus.has_collection(name)]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        raise BackupRefused(
            f"the server has no collection {listed}",
            hint="create what the spec names, or name the collections to back up",
            subject=missing[0],
        )
    if not wanted:
        raise BackupRefused("the server has no collections", hint="there is nothing to back up")
    names = list(dict.fromkeys(milvus.describe(name).name for name in wanted))
    return names, [name for name in there if name not in names]


def _label(loaded: LoadedSpec, info: CollectionInfo) -> str | None:
    """The field that names a row's embedding model, where the collection has it."""
    spec = loaded.spec.collection(info.name)
    name = spec.fields.embedding_model if spec else "embedding_model"
    return name if name and info.schema.field(name) else None


def _now() -> int:
    return int(time.time() * 1000)

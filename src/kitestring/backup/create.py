"""Makes a backup by the physical method.

Why the boundary holds: the server answers a flush with the timestamp that it has given it, and
the flush is done once every channel's checkpoint has passed that timestamp, so each write with a
smaller one is in a segment's logs. Writes get their timestamps from the same clock before they
are acknowledged. The boundary is that timestamp in whole milliseconds, rounded down; rows and
deletes with a later one are left out when the backup is read or restored. Without that, an upsert
that comes while the backup runs could take its old row away and not be there itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kitestring import __version__
from kitestring.backup import pool
from kitestring.backup.catalog import Catalog, new_backup_id, open_catalog
from kitestring.backup.census import take_census
from kitestring.backup.lock import Lock, held
from kitestring.clients.milvus.protocol import Milvus
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
from kitestring.segments.layout import SegmentFiles, collection_files
from kitestring.segments.reader import refuse_unknown
from kitestring.spec.loaded import LoadedSpec

OnEvent = Callable[[str], None]
_TICK = 0.2  # seconds; the server's clock ticks every 50 ms
_SKEW = 60_000  # ms that the server's clock and ours may differ by
_TRIES = 5  # plans of one collection, when compaction replaces segments meanwhile
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
    with held(catalog.store, "a backup") as lock:
        for line in catalog.sweep_partials():
            tell(line)
        return _Run(loaded, milvus, catalog, source, lock, tell).run(names, excluded)


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

    def run(self, names: Sequence[str], excluded: Sequence[str]) -> BackupManifest:
        created = _now()
        boundary = self._flush(names)
        newest = next((m for m in [self.catalog.newest()] if m and m.cluster == self.cluster), None)
        self.known = pool.known_objects(self.catalog.store, self.cluster, newest)
        done = tuple(self._collection(name, boundary) for name in names)
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
            reused_bytes=self.tally.reused_bytes,
        )
        self.catalog.publish(manifest, self.lock)
        self.tell(
            f"{manifest.id}: {manifest.rows:,} rows, {self.tally.copied} objects copied, "
            f"{self.tally.reused} reused"
        )
        return manifest

    def _flush(self, names: Sequence[str]) -> int:
        self.tell(f"flushing {', '.join(names)}")
        time.sleep(_TICK)  # so that what was acknowledged before we were called is before it
        asked = _now()
        boundary = self.milvus.flush_through(names)
        if abs(boundary - asked) > _SKEW:
            raise BackupRefused(
                f"the server's clock and this machine's differ by {(boundary - asked) / 1000:.0f} s"
                ": the age of a backup would be wrong",
                hint="set both by NTP",
            )
        return boundary

    def _collection(self, name: str, boundary: int) -> CollectionBackup:
        for _ in range(_TRIES):
            info = self.milvus.describe(name)
            segments = [s for s in self.milvus.segments(name) if s.state == FLUSHED]
            try:
                planned = self._plan(info, segments)
                return self._copy(info, planned, boundary)
            except (ObjectMissing, _VanishedError) as error:
                # compaction replaced a segment and its files were collected: what is live now
                # holds the same rows at the boundary
                self.tell(f"{name}: segments changed meanwhile ({error}); planning again")
        raise BackupError(
            f"the segments of `{name}` kept changing while they were copied",
            hint="run the backup when no compaction runs",
            subject=name,
        )

    def _plan(
        self, info: CollectionInfo, segments: Sequence[Segment]
    ) -> list[tuple[Segment, SegmentFiles]]:
        """The live segments with their objects."""
        found = collection_files(self.source.store, self.source.root, info.id)
        planned = []
        for segment in segments:
            try:
                refuse_unknown(segment)
            except SegmentUnreadable as error:
                raise BackupRefused(error.message, hint=error.hint, subject=info.name) from None
            files = found.get((segment.partition_id, segment.id))
            if files is not None and files.insert:
                planned.append((segment, files))
            elif segment.rows and segment.id in {s.id for s in self.milvus.segments(info.name)}:
                raise BackupRefused(
                    f"segment {segment.id} of `{info.name}` is live, but it has no files below "
                    f"{self.source.store.url}/{self.source.root}",
                    hint="correct `storage` in the spec: the bucket and root path of the server",
                    subject=info.name,
                )
            elif segment.rows:
                raise _VanishedError(f"segment {segment.id} is gone")
        return planned

    def _copy(
        self, info: CollectionInfo, planned: list[tuple[Segment, SegmentFiles]], boundary: int
    ) -> CollectionBackup:
        objects = [o for _, files in planned for o in files.all()]
        self.tell(f"{info.name}: {len(planned)} segments, {len(objects)} objects")
        tally = pool.Tally()
        stored = pool.take_all(
            self.source,
            self.catalog.store,
            self.cluster,
            objects,
            self.known,
            tally=tally,
            alive=self.lock.renew,
        )

        def of(infos: Sequence[ObjectInfo]) -> tuple[StoredObject, ...]:
            return tuple(stored[self.source.relative(o.key)] for o in infos)

        segments = tuple(
            SegmentBackup(
                id=segment.id,
                partition_id=segment.partition_id,
                rows=segment.rows,
                insert=of([o for logs in files.insert.values() for o in logs]),
                delta=of(files.delta),
                stats=of(files.stats),
            )
            for segment, files in planned
        )
        self.tell(f"{info.name}: reading it back from the backup")
        reader = pool.PoolReader(
            self.catalog.store,
            stored.values(),
            repair=pool.repairer(self.source, self.catalog.store),
        )
        census = take_census(
            reader,
            info.id,
            info.schema,
            segments,
            boundary=boundary,
            label=_label(self.loaded, info),
        )
        reader.rest()
        self.tally.add(tally)
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


class _VanishedError(Exception):
    """A segment that was planned is live no more."""


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

"""What a physical backup can build on: earlier backups, dead jobs, and the listing of the pool."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kitestring.backup.catalog import Catalog
from kitestring.backup.job import Leftover
from kitestring.backup.pool import DAMAGED
from kitestring.backup.take import Known, Recorded
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import ManifestUnreadable, ObjectMissing
from kitestring.model.backup import BackupManifest, SegmentBackup


@dataclass(frozen=True, slots=True)
class ReadBefore:
    """A segment as an earlier backup has it, with the boundary of that (ms since the epoch)."""

    segment: SegmentBackup
    boundary: int


@dataclass(frozen=True, slots=True)
class Earlier:
    """`segments` by collection and segment id; `deleted` are samples of keys by collection id."""

    known: Known
    newest_boundary: int = 0
    segments: Mapping[tuple[int, int], ReadBefore] = field(default_factory=dict)
    deleted: Mapping[int, Sequence[str]] = field(default_factory=dict)


def look_back(
    catalog: Catalog, cluster: str, collections: Mapping[str, int], dead: Iterable[Leftover]
) -> Earlier:
    """Reads the newest manifests that together have the collections, and lists the pool.

    Args:
        collections: names and ids of what is backed up.
    """
    manifests = _manifests(catalog, cluster, set(collections))
    records: dict[str, Recorded] = {}
    for job in dead:
        for stored in job.copied:
            records[stored.source] = Recorded(stored, job.updated)
    segments: dict[tuple[int, int], ReadBefore] = {}
    deleted: dict[int, Sequence[str]] = {}
    for manifest in reversed(manifests):  # what is newer counts
        for collection in manifest.collections:
            deleted[collection.id] = collection.deleted_keys
            for segment in collection.segments:
                key = (collection.id, segment.id)
                segments[key] = ReadBefore(segment, manifest.boundary)
                for stored in segment.objects:
                    records[stored.source] = Recorded(stored, manifest.finished_at)
    sizes = {found.key: found.size for found in catalog.pooled(cluster)}
    known = Known(catalog.pool_name(cluster), sizes, records, read_damaged(catalog.store))
    newest = max((m.boundary for m in manifests), default=0)
    return Earlier(known, newest, segments, deleted)


def _manifests(catalog: Catalog, cluster: str, wanted: set[str]) -> list[BackupManifest]:
    """Newest first: those physical ones in which something wanted is for the first time."""
    found: list[BackupManifest] = []
    for summary in catalog.newest_first():
        if not wanted:
            break
        if not summary.readable or (summary.cluster, summary.method) != (cluster, "physical"):
            continue
        if found and not wanted & set(summary.collections):
            continue  # the newest is read anyway: collections may have been renamed since
        try:
            manifest = catalog.manifest(summary.id)
        except ManifestUnreadable:
            continue
        found.append(manifest)
        wanted = wanted - set(summary.collections)
    return found


def read_damaged(store: ObjectStore) -> frozenset[str]:
    """Keys of the pool that verifications have found wrong since the last backup."""
    try:
        return frozenset(json.loads(store.get(DAMAGED)))
    except (ObjectMissing, ValueError, TypeError):
        return frozenset()


def note_damaged(store: ObjectStore, keys: Iterable[str]) -> None:
    """Notes objects that are not what was backed up: the next backup brings them anew."""
    known = read_damaged(store)
    if found := set(keys) - known:
        store.put(DAMAGED, json.dumps(sorted(known | found), indent=0).encode())


def forget_damaged(store: ObjectStore, mended: Iterable[str]) -> None:
    """Takes objects off the list that `note_damaged` has made."""
    known = read_damaged(store)
    left = known - set(mended)
    if left:
        store.put(DAMAGED, json.dumps(sorted(left), indent=0).encode())
    elif known:
        store.delete(DAMAGED)

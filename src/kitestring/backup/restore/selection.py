"""Which part of a backup is restored: collections, partitions, or a sample of segments or files.

A part is described as a backup of its own: a `CollectionBackup` with fewer of them and the digest
of the rows in them, so that all that follows treats it as a whole one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from kitestring.backup.catalog import Catalog
from kitestring.backup.census import take_census
from kitestring.backup.parts import digest_of_parts
from kitestring.backup.pool import PoolReader
from kitestring.errors import RestoreRefused
from kitestring.model.backup import (
    BackupManifest,
    CollectionBackup,
    RowDigest,
)
from kitestring.model.collection import Schema

UNKNOWN = ""
"""The digest of rows that were counted only."""


def by_key(schema: Schema) -> bool:
    """Whether the server makes the partitions itself, from a partition key."""
    return any(f.partition_key for f in schema.fields)


def chosen(
    manifest: BackupManifest, names: Sequence[str] | None, rename: Mapping[str, str]
) -> list[CollectionBackup]:
    """The collections of those names; all where `names` is None.

    Raises:
        RestoreRefused: the backup has no collection of a name.
    """
    there = {c.name: c for c in manifest.collections}
    unknown = [n for n in [*(names or ()), *rename] if n not in there]
    if unknown:
        raise RestoreRefused(
            f"the backup {manifest.id} has no collection `{unknown[0]}`",
            hint=f"it has {', '.join(there) or 'none'}",
            subject=unknown[0],
        )
    return [c for n, c in there.items() if names is None or n in names]


def of_partitions(
    catalog: Catalog,
    manifest: BackupManifest,
    wanted: Iterable[CollectionBackup],
    partitions: Collection[str],
) -> list[CollectionBackup]:
    """The collections with those of their partitions only. Reads the rows that are left.

    Raises:
        RestoreRefused: a partition is in none of them, or the server makes partitions by a key.
        BackupDamaged, …: as `take_census`.
    """
    wanted = list(wanted)
    known = {p.name for c in wanted for p in c.partitions}
    for name in partitions:
        if name not in known:
            raise RestoreRefused(
                f"no collection that is restored has a partition `{name}`",
                hint=f"there are {', '.join(sorted(known)[:20])}",
                subject=name,
            )
    found = []
    for collection in wanted:
        if by_key(collection.schema):
            raise RestoreRefused(
                f"`{collection.name}` is partitioned by a key: one of its partitions holds rows of "
                "several values",
                hint="restore the whole collection under another name",
                subject=collection.name,
            )
        kept = [p for p in collection.partitions if p.name in partitions]
        if not kept:
            continue
        ids, names = {p.id for p in kept}, {p.name for p in kept}
        part = replace(
            collection,
            partitions=tuple(kept),
            segments=tuple(s for s in collection.segments if s.partition_id in ids),
            parts=tuple(p for p in collection.parts if p.partition in names),
        )
        found.append(_counted(catalog, manifest, part))
    return found


def sampled(
    catalog: Catalog, manifest: BackupManifest, fraction: float
) -> tuple[BackupManifest, float]:
    """The backup with a sample of each collection's segments, or files of rows, and the part of
    the rows in it.

    They are drawn by a hash of the backup's id and theirs: the same ones each time.

    Raises:
        BackupDamaged, …: as `take_census` and `read_part`.
    """
    collections = []
    for whole in manifest.collections:
        if whole.parts:
            files = {p.object.key: p.rows for p in whole.parts}
            drawn = _drawn(manifest.id, files, fraction)
            part = replace(whole, parts=tuple(p for p in whole.parts if p.object.key in drawn))
            collections.append(replace(part, digest=digest_of_parts(catalog.store, part)))
        else:
            rows = {str(s.id): s.rows for s in whole.segments}
            drawn = _drawn(manifest.id, rows, fraction)
            part = replace(whole, segments=tuple(s for s in whole.segments if str(s.id) in drawn))
            collections.append(_counted(catalog, manifest, part))
    smaller = replace(manifest, collections=tuple(collections))
    return smaller, (smaller.rows / manifest.rows if manifest.rows else 1.0)


def with_content(
    catalog: Catalog, manifest: BackupManifest, backup: CollectionBackup
) -> CollectionBackup:
    """The collection with a digest of its content: where the manifest has one of the keys only,
    the rows are read for it."""
    if backup.digest.content or not backup.segments:
        return backup
    return _counted(catalog, manifest, backup)


def _drawn(seed: str, rows: Mapping[str, int], fraction: float) -> set[str]:
    """Of things with rows, those that hold at least that part of them; one at least."""
    ranked = sorted(
        (name for name in rows if rows[name]),
        key=lambda name: hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(),
    )
    enough = fraction * sum(rows.values())
    taken: set[str] = set()
    held = 0
    for name in ranked:
        if taken and held >= enough:
            break
        taken.add(name)
        held += rows[name]
    return taken


def _counted(
    catalog: Catalog, manifest: BackupManifest, part: CollectionBackup
) -> CollectionBackup:
    """The part with the digest of its own rows."""
    if part.parts or not part.segments:
        rows = sum(p.rows for p in part.parts)
        return replace(part, digest=RowDigest(rows, UNKNOWN, UNKNOWN))
    census = take_census(
        PoolReader(catalog.store, part.objects),
        part.id,
        part.schema,
        part.segments,
        boundary=manifest.boundary,
        label=None,
    )
    return replace(part, digest=census.digest, deleted_keys=census.deleted_keys)

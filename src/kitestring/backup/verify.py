"""Verifies a backup without restoring it, in three tiers.

| tier | what it proves |
|---|---|
| list | every object is there with its size |
| sample | and a tenth of them, other ones each time, have their checksum |
| full | and all of them have; and the rows, read again, are those of the manifest |
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kitestring.backup.catalog import TIERS, Catalog
from kitestring.backup.census import check_census
from kitestring.backup.pool import POOL, PoolReader
from kitestring.clients.store.protocol import sha256_of
from kitestring.errors import (
    BackupDamaged,
    BackupError,
    ObjectMissing,
    SegmentUnreadable,
    StoreError,
    StoreUnreachable,
    UsageError,
)
from kitestring.model.backup import BackupManifest, CollectionBackup, StoredObject

OnEvent = Callable[[str], None]
_SHARE = 0.1  # of the objects, in the tier `sample`
_THREADS = 8


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification came to. `problems` is empty when the backup is whole."""

    id: str
    tier: str
    objects: int  # of the backup
    hashed: int
    rows: int  # read again; only in the tier `full`
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems

    def raise_if_damaged(self) -> None:
        """Raises BackupDamaged with the first problems."""
        if self.problems:
            shown = "; ".join(self.problems[:5])
            more = f"; and {len(self.problems) - 5} more" if len(self.problems) > 5 else ""
            raise BackupDamaged(
                f"the backup {self.id} is damaged: {shown}{more}",
                hint="make a new backup: it brings back what the cluster still has",
                subject=self.id,
            )


def verify(
    catalog: Catalog,
    backup_id: str,
    *,
    tier: str = "full",
    seed: int | None = None,
    on_event: OnEvent | None = None,
) -> VerifyResult:
    """Verifies one backup, and notes in the catalog when it has passed.

    Args:
        tier: one of `TIERS`.
        seed: which objects the tier `sample` takes; None for others each time.

    Raises:
        BackupNotFound, ManifestUnreadable: what can't be read is never verified.
        StoreUnreachable: nothing is said of the backup.
    """
    if tier not in TIERS:
        raise UsageError(f"`{tier}` is no tier: {', '.join(TIERS)}")
    tell = on_event or (lambda _line: None)
    manifest = catalog.manifest(backup_id)
    objects = _objects(manifest)
    tell(f"{backup_id}: {len(objects)} objects")
    problems, whole = _listed(catalog, manifest, objects)
    chosen: Sequence[StoredObject] = []
    rows = 0
    if tier == "sample":
        count = min(len(whole), max(1, round(len(whole) * _SHARE))) if whole else 0
        chosen = random.Random(seed).sample(whole, count)  # noqa: S311 - no secret
    elif tier == "full":
        chosen = whole
    problems += _hashed(catalog, chosen)
    if tier == "full" and not problems:
        for collection in manifest.collections:
            tell(f"{backup_id}: reading the rows of {collection.name}")
            problems += _read(catalog, collection, manifest.boundary)
            rows += collection.digest.rows
    if not problems:
        catalog.mark_verified(backup_id, tier)
    return VerifyResult(backup_id, tier, len(objects), len(chosen), rows, tuple(problems))


def _objects(manifest: BackupManifest) -> list[StoredObject]:
    found = {o.key: o for c in manifest.collections for s in c.segments for o in s.objects}
    return [found[key] for key in sorted(found)]


def _listed(
    catalog: Catalog, manifest: BackupManifest, objects: Iterable[StoredObject]
) -> tuple[list[str], list[StoredObject]]:
    """What a listing shows to be wrong, and the objects that it shows nothing of."""
    there = {i.key: i.size for i in catalog.store.list(f"{POOL}/{manifest.cluster}/")}
    problems, whole = [], []
    for stored in objects:
        size = there.get(stored.key)
        if size is None:
            problems.append(f"{stored.key} is missing")
        elif size != stored.size:
            problems.append(f"{stored.key} has {size} bytes, not {stored.size}")
        else:
            whole.append(stored)
    return problems, whole


def _hashed(catalog: Catalog, objects: Sequence[StoredObject]) -> list[str]:
    def problem(stored: StoredObject) -> str:
        try:
            size, sha256 = sha256_of(catalog.store, stored.key)
        except ObjectMissing:
            return f"{stored.key} is missing"
        except StoreUnreachable:
            raise
        except StoreError as error:  # a disk that can't read a file
            return f"{stored.key} can't be read: {error.message}"
        if (size, sha256) != (stored.size, stored.sha256):
            return f"{stored.key} is not what was backed up: its SHA-256 differs"
        return ""

    with ThreadPoolExecutor(_THREADS, "verify") as executor:
        try:
            return [text for text in executor.map(problem, objects) if text]
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _read(catalog: Catalog, collection: CollectionBackup, boundary: int) -> list[str]:
    objects = [o for s in collection.segments for o in s.objects]
    try:
        check_census(PoolReader(catalog.store, objects), collection, boundary)
    except (BackupError, SegmentUnreadable, ObjectMissing) as error:
        return [error.message]
    return []

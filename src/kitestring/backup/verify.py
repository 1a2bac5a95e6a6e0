"""Verifies a backup without restoring it, in three tiers.

| tier | what it proves |
|---|---|
| list | every object is there with its size |
| sample | and a tenth of them, other ones each time, have their checksum |
| full | and all of them have; and the rows, read again, are those of the manifest |

What is sealed is opened for it, in pieces: an object that was changed, cut short, or put in
another's place does not open, and one that was replaced by an older one of its own has another
checksum. A manifest that the spec's keys have not signed is not verified at all, but refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from kitestring.backup.catalog import Catalog
from kitestring.backup.census import check_census
from kitestring.backup.earlier import note_damaged
from kitestring.backup.parts import check_parts
from kitestring.backup.pool import PoolReader
from kitestring.backup.summaries import TIERS
from kitestring.clients.store.protocol import sha256_of
from kitestring.errors import (
    BackupDamaged,
    BackupError,
    KeyServiceFailed,
    ObjectMissing,
    SealError,
    SegmentUnreadable,
    StoreError,
    StoreUnreachable,
    UsageError,
    WrongKey,
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
    damaged: tuple[str, ...] = ()  # keys of the objects that are wrong

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
        SealKeyMissing, WrongKey: the objects are sealed, and none of them opens.
        StoreUnreachable, KeyServiceFailed: nothing is said of the backup.
    """
    if tier not in TIERS:
        raise UsageError(f"`{tier}` is no tier: {', '.join(TIERS)}")
    tell = on_event or (lambda _line: None)
    manifest = catalog.manifest(backup_id, alone=True)
    if tier != "list":
        catalog.check_openable(manifest)
    objects = _objects(manifest)
    tell(f"{backup_id}: {len(objects)} objects")
    found, whole = _listed(catalog, objects)
    chosen: Sequence[StoredObject] = []
    rows = 0
    if tier == "sample":
        count = min(len(whole), max(1, round(len(whole) * _SHARE))) if whole else 0
        chosen = random.Random(seed).sample(whole, count)  # noqa: S311 - no secret
    elif tier == "full":
        chosen = whole
    found |= _hashed(catalog, chosen)
    of = {o.key: c.name for c in reversed(manifest.collections) for o in c.objects}
    problems = [f"{key} (of `{of[key]}`) {found[key]}" for key in sorted(found)]
    if tier == "full" and not problems:
        for collection in manifest.collections:
            tell(f"{backup_id}: reading the rows of {collection.name}")
            problems += _read(catalog, collection, manifest.boundary)
            rows += collection.digest.rows
    summary = catalog.summary_problem(manifest)
    proven = tier == "full" or not summary or catalog.vouched_for(backup_id)
    if proven and not problems and not catalog.mark_verified(backup_id, tier, anew=bool(summary)):
        tell(f"{backup_id}: not noted in the catalog, for want of a `backup.signing.key`")
    if summary:  # where all else is whole, it has been written again: the next time it passes
        more = "" if proven else "; `--tier full` writes it again where the rest is whole"
        problems.append(f"backups/{backup_id}/summary.json: {summary}{more}")
    damaged = tuple(sorted(found))
    with suppress(StoreError):  # to report it matters more
        if damaged:
            note_damaged(catalog.store, damaged)
        if problems and not summary:
            catalog.mark_damaged(backup_id)
    return VerifyResult(backup_id, tier, len(objects), len(chosen), rows, tuple(problems), damaged)


def _objects(manifest: BackupManifest) -> list[StoredObject]:
    found = {o.key: o for c in manifest.collections for o in c.objects}
    return [found[key] for key in sorted(found)]


def _listed(
    catalog: Catalog, objects: Sequence[StoredObject]
) -> tuple[dict[str, str], list[StoredObject]]:
    """What a listing shows to be wrong, by key, and the objects that it shows nothing of."""
    there = {
        info.key: info.size
        for prefix in sorted({_folder(stored.key) for stored in objects})
        for info in catalog.store.list(prefix)
    }
    wrong, whole = {}, []
    for stored in objects:
        size = there.get(stored.key)
        if size is None:
            wrong[stored.key] = "is missing"
        elif size < 0:
            wrong[stored.key] = "was cut short: nothing sealed has its length"
        elif size != stored.size:
            wrong[stored.key] = f"has {size} bytes, not {stored.size}"
        else:
            whole.append(stored)
    return wrong, whole


def _folder(key: str) -> str:
    """What is listed for an object: `pool/<cluster>/`, whatever is below."""
    return "/".join(key.split("/")[:2]) + "/"


def _hashed(catalog: Catalog, objects: Sequence[StoredObject]) -> dict[str, str]:
    """What reading objects shows to be wrong, by key; a few MiB of each are in memory.

    Raises:
        WrongKey, KeyServiceFailed: not one of them opens. Where others do, it is the object.
    """
    shut: list[SealError] = []

    def problem(stored: StoredObject) -> str:
        try:
            size, sha256 = sha256_of(catalog.store, stored.key)
        except ObjectMissing:
            return "is missing"
        except StoreUnreachable:
            raise
        except (WrongKey, KeyServiceFailed) as error:
            shut.append(error)
            return "does not open: its head was changed, or it is sealed to others"
        except BackupDamaged:
            return "is not what was sealed: it was changed, or put in another one's place"
        except StoreError as error:  # a disk that can't read a file
            return f"can't be read: {error.message}"
        if (size, sha256) != (stored.size, stored.sha256):
            return "is not what was backed up: its SHA-256 differs"
        return ""

    with ThreadPoolExecutor(_THREADS, "verify") as executor:
        try:
            found = dict(zip((o.key for o in objects), executor.map(problem, objects), strict=True))
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    if shut and len(shut) == len(objects):
        raise shut[0]
    return {key: text for key, text in found.items() if text}


def _read(catalog: Catalog, collection: CollectionBackup, boundary: int) -> list[str]:
    try:
        if collection.parts:
            check_parts(catalog.store, collection)
        else:
            reader = PoolReader(catalog.store, collection.objects)
            check_census(reader, collection, boundary)
    except (BackupError, SegmentUnreadable, ObjectMissing) as error:
        return [error.message]
    return []

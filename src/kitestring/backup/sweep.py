"""Removes from the pool what a job has planned and no backup needs."""

from __future__ import annotations

from collections.abc import Iterable

from kitestring.backup.catalog import Catalog
from kitestring.backup.job import Leftover, forget
from kitestring.backup.unneeded import names_of
from kitestring.model.backup import BackupManifest


def sweep(
    catalog: Catalog, made: BackupManifest, planned: Iterable[str], dead: Iterable[Leftover]
) -> list[str]:
    """Clears up after jobs that died, and after this one; call it with the lock held, once the
    backup is published. Returns what was done, in words.

    Args:
        planned: what this job was to write.

    A planned object may be one that an older backup has lost and has now back: what any manifest
    names stays. Where a manifest can't be read, nothing is removed.
    """
    dead = list(dead)
    doubtful = set(planned).union(*(job.planned for job in dead))
    doubtful -= {o.key for c in made.collections for o in c.objects}
    if doubtful:
        named = _named(catalog, made)
        if named is None:
            return ["objects of interrupted backups stay: an older manifest can't be read"]
        doubtful -= named
    there = {i.key for i in catalog.store.list(f"pool/{made.cluster}/")} if doubtful else set()
    unused = sorted(doubtful & there)
    for key in unused:
        catalog.store.delete(key)
    for job in dead:
        forget(catalog.store, job.id)
    return [f"removed {len(unused)} objects of interrupted backups"] if unused else []


def _named(catalog: Catalog, made: BackupManifest) -> set[str] | None:
    found = names_of(catalog, [s.id for s in catalog.summaries() if s.id != made.id])
    return None if found.unread else found.keys

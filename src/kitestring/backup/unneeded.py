"""Objects of the pool that no backup needs, and deleting them.

What a manifest names is known only by reading it: a summary does not say (reading one of 10,000
objects takes some 13 ms). One that can't be read may name any object, so then nothing is unneeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from kitestring.backup.catalog import Catalog
from kitestring.backup.job import leftovers
from kitestring.backup.lock import Lock
from kitestring.backup.pool import POOL
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupNotFound, ManifestUnreadable, SealError, StoreError

RESUMABLE = 7 * 86_400_000  # ms that what a job which died has copied is kept for the next one
_THREADS = 8
_BATCH = 100  # deletes between two looks at the lock


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that the store would not delete; a key, or the id of a backup."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Keys with their sizes in bytes: unneeded now, and once the marked backups are gone."""

    now: dict[str, int] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Names:
    """The keys that manifests name; `unread` are the ids of those that can't be read, and why."""

    keys: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)


def names_of(catalog: Catalog, ids: Iterable[str]) -> Names:
    """The keys that the manifests of these backups name, several manifests at a time.

    Raises:
        StoreError: the store does not answer.
    """

    def of(id_: str) -> frozenset[str] | str:
        try:
            manifest = catalog.manifest(id_)
        except BackupNotFound:
            return frozenset()  # deleted since it was listed
        except (ManifestUnreadable, SealError) as error:
            return error.message
        return frozenset(o.key for c in manifest.collections for o in c.objects)

    found = Names()
    wanted = list(ids)
    with ThreadPoolExecutor(_THREADS, "manifest") as executor:
        try:
            for id_, keys in zip(wanted, executor.map(of, wanted), strict=True):
                if isinstance(keys, str):
                    found.unread[id_] = keys
                else:
                    found.keys.update(keys)
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return found


def find_unneeded(
    catalog: Catalog, cluster: str, kept: set[str], marked: set[str], *, until: int, now: int
) -> Unneeded:
    """What of a cluster's pool no manifest and no job names, and was written before `until`.

    Args:
        kept, marked: keys that the manifests of kept, and of marked backups name.
        until, now: ms since the epoch.

    Raises:
        StoreError: the store does not answer.
    """
    jobs = names_of_jobs(catalog.store, now)
    found = Unneeded()
    for info in catalog.store.list(f"{POOL}/{cluster}/"):
        if info.key in kept or info.key in jobs:
            continue
        if info.key in marked:
            found.later[info.key] = info.size
        elif info.modified <= until:
            found.now[info.key] = info.size
    return found


def names_of_jobs(store: ObjectStore, now: int) -> set[str]:
    """What jobs have planned or copied, unless they died so long ago that nobody resumes them."""
    return {
        key
        for job in leftovers(store)
        if now - job.updated < RESUMABLE
        for key in (*job.planned, *(stored.key for stored in job.copied))
    }


def unread_problem(unread: Mapping[str, str]) -> str:
    """Why nothing is swept beside manifests that can't be read; empty where there are none."""
    if not unread:
        return ""
    id_, why = next(iter(unread.items()))
    more = f", nor can {len(unread) - 1} others" if len(unread) > 1 else ""
    return (
        f"no object is swept: {why}{more}. It may need any of them; "
        f"`kitestring backup delete {id_}` gives it up"
    )


def delete_all(store: ObjectStore, keys: Mapping[str, int], lock: Lock) -> list[Refusal]:
    """Deletes objects, several at a time; what the store refuses is returned, and the rest goes.

    Raises:
        BackupBusy: the lock is another's now; at most one batch was deleted since it was ours.
        StoreError: the store does not answer.
    """

    def delete(key: str) -> Refusal | None:
        try:
            store.delete(key)
        except StoreError as error:
            if error.transient:
                raise
            return Refusal(key, error.message)
        return None

    refused: list[Refusal] = []
    with ThreadPoolExecutor(_THREADS, "sweep") as executor:
        try:
            for batch in _batches(keys):
                lock.renew()
                lock.check()
                refused += [r for r in executor.map(delete, batch) if r is not None]
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
    return refused


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    left = iter(keys)
    while batch := list(islice(left, _BATCH)):
        yield batch

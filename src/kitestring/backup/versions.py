"""Old versions of what was deleted, in buckets that keep them: bytes that are paid for.

They are what brings a backup back that somebody has deleted, so they stay unless the spec says
`retention.versions: delete`, and then for the grace period after the deletion. Versions of objects
that are still there, and of those that a backup or a job names though they are gone, are never
touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from kitestring.backup.documents import BACKUPS
from kitestring.backup.lock import Lock
from kitestring.backup.pool import POOL
from kitestring.clients.store.protocol import ObjectStore, bare
from kitestring.errors import StoreError

if TYPE_CHECKING:
    from kitestring.clients.store.s3_versions import Version

_BATCH = 100  # deletions between two looks at the lock


@dataclass(frozen=True, slots=True)
class OldVersions:
    """Those that stay and those that went, sizes in bytes; `why` is the store's reason for one
    that it would not let go."""

    kept: int = 0
    kept_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0
    locked: int = 0  # of those kept
    why: str = ""


NO_VERSIONS = OldVersions()


class _Keeps(Protocol):
    def deleted_versions(self, prefix: str) -> Iterator[Version]: ...
    def delete_version(self, version: Version) -> None: ...


def keeping(store: ObjectStore) -> _Keeps | None:
    """The bucket that a catalog's store lies in; None where it is none."""
    store = bare(store)
    while (inner := getattr(store, "inner", None)) is not None:  # what is sealed
        store = bare(inner)
    return cast(_Keeps, store) if hasattr(store, "deleted_versions") else None


def old_versions(
    bucket: _Keeps,
    cluster: str,
    needed: Callable[[str], bool],
    *,
    until: int | None,
    lock: Lock | None,
) -> OldVersions:
    """Counts what is left of a cluster's deleted objects and of deleted backups.

    Args:
        needed: whether a key of the pool is named by a backup or a job.
        until: ms since the epoch; what was deleted before then is removed. None removes nothing.
        lock: the catalog's; None for a dry run, which says what would be removed.

    Raises:
        BackupBusy: the lock is another's now.
        StoreError: the store does not answer, or its versions may not be listed.
    """
    kept, gone = [0, 0], [0, 0]
    why, tried = "", 0
    stuck: set[str] = set()  # without its marker, what is left of an object would be back
    locked = 0
    for prefix in (f"{POOL}/{cluster}/", f"{BACKUPS}/"):
        for version in bucket.deleted_versions(prefix):
            stays = until is None or version.deleted > until or needed(version.key)
            if not stays and lock is not None and version.key not in stuck:
                if tried % _BATCH == 0:
                    lock.renew()
                    lock.check()
                tried += 1
                if refused := _delete(bucket, version):
                    stuck.add(version.key)
                    why = why or refused
            if version.key in stuck:
                locked += 1
            counted = kept if stays or version.key in stuck else gone
            counted[0] += 1
            counted[1] += version.size
    return OldVersions(kept[0], kept[1], gone[0], gone[1], locked, why)


def _delete(bucket: _Keeps, version: Version) -> str:
    """Removes a version; why the store would not, empty where it did."""
    try:
        bucket.delete_version(version)
    except StoreError as error:
        if error.transient:
            raise
        return error.message
    return ""

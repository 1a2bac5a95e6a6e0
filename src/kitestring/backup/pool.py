"""The pool: every object that a backup of a cluster has ever needed, once.

An object is kept under `pool/<cluster>/<its key below Milvus's root path>`. Milvus never changes
an object, and its ids come from its clock, so a key names a content. That is checked all the
same: an object of the pool is never overwritten by another content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from kitestring.clients.store.protocol import ObjectInfo, ObjectStore, join, sha256_of
from kitestring.errors import BackupDamaged, ObjectMissing
from kitestring.model.backup import BackupManifest, StoredObject

POOL = "pool"
_SKEW = 5_000  # ms that the clocks of two stores may differ by


@dataclass(frozen=True, slots=True)
class Source:
    """Where a cluster keeps its segments."""

    store: ObjectStore
    root: str  # Milvus's root path as a key prefix; may be empty

    def relative(self, key: str) -> str:
        return key[len(self.root) + 1 :] if self.root else key

    def key(self, relative: str) -> str:
        return join(self.root, relative)


@dataclass
class Tally:
    """What has been copied so far."""

    copied_bytes: int = 0
    copied: int = 0  # objects


@dataclass(frozen=True, slots=True)
class Known:
    """What is in the pool: sizes from a listing, checksums from the newest manifest."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, StoredObject] = field(default_factory=dict)  # by source key
    recorded_at: int = 0  # ms since the epoch
    fresh: dict[str, StoredObject] = field(default_factory=dict)  # brought in by this run

    def reusable(self, source: str, info: ObjectInfo) -> StoredObject | None:
        """The pool's copy of a source object; None when it can't be told without reading."""
        fresh = self.fresh.get(source)
        if fresh is not None and fresh.size == info.size:
            return fresh
        record = self.records.get(source)
        if (
            record is not None
            and record.size == info.size == self.sizes.get(record.key)
            # written again since then: then the name proves nothing
            and info.modified <= self.recorded_at + _SKEW
        ):
            return record
        return None


def known_objects(store: ObjectStore, cluster: str, newest: BackupManifest | None) -> Known:
    """Lists the pool of a cluster."""
    sizes = {found.key: found.size for found in store.list(f"{POOL}/{cluster}/")}
    if newest is None:
        return Known(sizes)
    objects = (o for c in newest.collections for s in c.segments for o in s.objects)
    return Known(sizes, {o.source: o for o in objects}, newest.finished_at)


def take(
    source: Source, pool: ObjectStore, cluster: str, info: ObjectInfo, known: Known
) -> tuple[StoredObject, bool]:
    """Brings one object into the pool; the flag says whether it had to be copied.

    Raises:
        ObjectMissing: the source has it no more.
    """
    relative = source.relative(info.key)
    found = known.reusable(relative, info)
    if found is not None:
        return found, False
    key = join(POOL, cluster, relative)
    if key in known.sizes:
        # of an older backup, or of a run that was killed: only its content tells
        size, sha256 = sha256_of(source.store, info.key)
        if sha256_of(pool, key) == (size, sha256):
            return StoredObject(key, relative, size, sha256), False
        key = f"{key}.{sha256[:12]}"
    size, sha256 = pool.copy_from(source.store, info.key, key)
    return StoredObject(key, relative, size, sha256), True


def take_all(
    source: Source,
    pool: ObjectStore,
    cluster: str,
    objects: Iterable[ObjectInfo],
    known: Known,
    *,
    tally: Tally,
    threads: int = 8,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, StoredObject]:
    """Brings objects into the pool, several at a time; returns them by source key.

    Args:
        alive: called after each object, in the caller's thread.

    Raises:
        ObjectMissing: the source has one of them no more. Nothing is left running.
    """
    done: dict[str, StoredObject] = {}
    left = iter(objects)
    with ThreadPoolExecutor(threads, thread_name_prefix="copy") as executor:
        running: set[Future[tuple[StoredObject, bool]]] = set()
        try:
            while True:
                for info in islice(left, 2 * threads - len(running)):
                    running.add(executor.submit(take, source, pool, cluster, info, known))
                if not running:
                    return done
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    stored, copied = future.result()
                    done[stored.source] = known.fresh[stored.source] = stored
                    if copied:
                        tally.copied += 1
                        tally.copied_bytes += stored.size
                    alive()
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


class PoolReader:
    """The objects of a backup under the keys that they had, each checked against its checksum.

    What reads a live cluster's segments reads a backup's through it, and can't be given a byte
    that was not backed up.

    Args:
        repair: brings a damaged object back from its source; None where there is none.

    Raises (get):
        BackupDamaged: the pool's object is missing or changed.
    """

    def __init__(
        self,
        pool: ObjectStore,
        objects: Iterable[StoredObject],
        *,
        repair: Callable[[StoredObject], None] | None = None,
    ) -> None:
        self._pool = pool
        self._objects = {o.source: o for o in objects}
        self._repair = repair
        self._unread = set(self._objects)

    def rest(self) -> None:
        """Reads what nobody has read yet, so that every object has been checked."""
        for key in sorted(self._unread):
            self.get(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for source in sorted(self._objects):
            if source.startswith(prefix):
                yield ObjectInfo(source, self._objects[source].size, 0)

    def get(self, key: str) -> bytes:
        try:
            wanted = self._objects[key]
        except KeyError:
            raise ObjectMissing(f"the backup has no object `{key}`", subject=key) from None
        data, problem = self._read(wanted)
        if problem and self._repair is not None:
            self._repair(wanted)
            data, problem = self._read(wanted)
        if problem:
            raise BackupDamaged(problem, hint="restore another backup", subject=wanted.key)
        self._unread.discard(key)
        return data

    def _read(self, wanted: StoredObject) -> tuple[bytes, str]:
        try:
            data = self._pool.get(wanted.key)
        except ObjectMissing:
            return b"", f"the object {wanted.key} is missing"
        if len(data) != wanted.size:
            return b"", f"the object {wanted.key} has {len(data)} bytes, not {wanted.size}"
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            return b"", f"the object {wanted.key} is not what was backed up: its SHA-256 differs"
        return data, ""


def repairer(source: Source, pool: ObjectStore) -> Callable[[StoredObject], None]:
    """Copies an object of the pool again from the cluster, where that still has the same."""

    def repair(stored: StoredObject) -> None:
        try:
            if sha256_of(source.store, source.key(stored.source)) == (stored.size, stored.sha256):
                pool.copy_from(source.store, source.key(stored.source), stored.key)
        except ObjectMissing:
            return

    return repair

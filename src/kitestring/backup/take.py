"""Brings objects of a cluster into the pool: those that are there already are not copied.

What is known of an object without reading it: an earlier manifest names it, or the checkpoint of
a job that died, and the pool still lists it with its size, and the cluster has not written it
again since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from kitestring.backup.pool import POOL, Source
from kitestring.clients.store.protocol import ObjectInfo, ObjectStore, join, sha256_of
from kitestring.errors import BackupDamaged, ObjectMissing, SealError
from kitestring.model.backup import StoredObject

THREADS = 16
_SKEW = 5_000  # ms that the clocks of two stores may differ by
_WAIT = 1.0  # seconds between two signs of life


class Progress(Protocol):
    """Who is told of what is done (see `kitestring.backup.job.Job`)."""

    def plan(self, keys: Iterable[str]) -> None: ...
    def copied(self, stored: StoredObject) -> None: ...
    def progress(self, size: int, *, copied: bool = True) -> None: ...
    def beat(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A content that was known to be in the pool at `at` (ms since the epoch)."""

    stored: StoredObject
    at: int


@dataclass(slots=True)
class Known:
    """What is in the pool: sizes from a listing, checksums from records.

    `cluster` is where new objects go below `pool/`: what is elsewhere is sealed otherwise.
    """

    cluster: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)  # by key of the pool
    records: Mapping[str, Recorded] = field(default_factory=dict)  # by source key
    damaged: frozenset[str] = frozenset()  # keys whose content is wrong
    fresh: dict[str, StoredObject] = field(default_factory=dict)  # brought in by this run
    copied: dict[str, int] = field(default_factory=dict)  # sizes by key, of this run

    def reusable(self, source: str, info: ObjectInfo) -> StoredObject | None:
        """The pool's copy of a source object; None when it can't be told without reading."""
        fresh = self.fresh.get(source)
        if fresh is not None and fresh.size == info.size:
            return fresh
        record = self.records.get(source)
        if record is None or record.stored.key in self.damaged:
            return None
        stored = record.stored
        place = join(POOL, self.cluster, source)
        if stored.key != place and not stored.key.startswith(f"{place}."):
            return None
        if stored.size != info.size or self.sizes.get(stored.key) != stored.size:
            return None
        # written again since then: then the name proves nothing
        return stored if info.modified <= record.at + _SKEW else None

    def is_new(self, source: Source, info: ObjectInfo) -> bool:
        """Whether bringing it in will write an object."""
        relative = source.relative(info.key)
        return (
            self.reusable(relative, info) is None
            and join(POOL, self.cluster, relative) not in self.sizes
        )


def take(
    source: Source,
    pool: ObjectStore,
    info: ObjectInfo,
    known: Known,
    plan: Callable[[Iterable[str]], None] = lambda keys: None,
) -> tuple[StoredObject, bool]:
    """Brings one object into the pool; the flag says whether it had to be copied.

    Args:
        plan: told of a key that nobody could foresee, before it is written.

    Raises:
        ObjectMissing: the source has it no more.
    """
    relative = source.relative(info.key)
    found = known.reusable(relative, info)
    if found is not None:
        return found, False
    key = join(POOL, known.cluster, relative)
    if key in known.sizes:
        # of a backup that nobody has a record of, or damaged: only its content tells
        size, sha256 = sha256_of(source.store, info.key)
        record = known.records.get(relative)
        at = record.stored.key if record is not None else ""
        mine = at == key or at.startswith(f"{key}.")
        if mine and record and (record.stored.size, record.stored.sha256) == (size, sha256):
            if at in known.sizes and _holds(pool, at, (size, sha256)):
                return record.stored, False
            pool.copy_from(source.store, info.key, at)  # it is mended
            return record.stored, True
        if _holds(pool, key, (size, sha256)):
            return StoredObject(key, relative, size, sha256), False
        key = f"{key}.{sha256[:12]}"
        plan([key])
    size, sha256 = pool.copy_from(source.store, info.key, key)
    return StoredObject(key, relative, size, sha256), True


def _holds(pool: ObjectStore, key: str, wanted: tuple[int, str]) -> bool:
    """Whether an object of the pool has that size and SHA-256. One that was changed after it was
    sealed has not, and what can't be opened here is not relied on."""
    try:
        return sha256_of(pool, key) == wanted
    except (BackupDamaged, SealError):
        return False


def take_all(
    source: Source,
    pool: ObjectStore,
    objects: Iterable[ObjectInfo],
    known: Known,
    job: Progress,
    *,
    threads: int = THREADS,
    on_done: Callable[[StoredObject], None] = lambda stored: None,
    stop: Callable[[], None] = lambda: None,
    missing_ok: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> dict[str, StoredObject]:
    """Brings objects into the pool, several at a time; returns them by source key.

    Args:
        on_done: called in the caller's thread.
        stop: called before an error is raised: threads that wait are to wait no more.
        missing_ok: leave out what the source has no more.
        enough: when it says so, no more copies are begun.

    Raises:
        ObjectMissing: the source has one of them no more. Nothing is left running.
    """
    done: dict[str, StoredObject] = {}
    objects = list(objects)
    job.plan(join(POOL, known.cluster, source.relative(o.key)) for o in objects
             if known.is_new(source, o))  # fmt: skip

    def count(stored: StoredObject, copied: bool) -> None:
        done[stored.source] = known.fresh[stored.source] = stored
        if copied:
            known.copied[stored.key] = stored.size
            job.copied(stored)
        job.progress(stored.size, copied=copied)
        on_done(stored)

    left: list[ObjectInfo] = []
    for info in objects:
        found = known.reusable(source.relative(info.key), info)
        if found is None:
            left.append(info)
        else:
            count(found, False)
    with ThreadPoolExecutor(threads, thread_name_prefix="copy") as executor:
        queue = iter(left)
        running: set[Future[tuple[StoredObject, bool]]] = set()
        try:
            while True:
                for info in islice(queue, 0 if enough() else 2 * threads - len(running)):
                    running.add(executor.submit(take, source, pool, info, known, job.plan))
                if not running:
                    return done
                finished, running = wait(running, _WAIT, return_when=FIRST_COMPLETED)
                if not finished:
                    job.beat()
                for future in finished:
                    try:
                        count(*future.result())
                    except ObjectMissing:
                        if not missing_ok:
                            raise
        except BaseException:
            stop()
            executor.shutdown(wait=True, cancel_futures=True)
            raise

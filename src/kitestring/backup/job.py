"""The job behind a running backup: how far it is, what it has planned and what it has copied.

    jobs/<id>.json            state: who, phase, counts; written every second
    jobs/<id>/planned-<n>     keys that it is about to write; each list ahead of its first write
    jobs/<id>/copied-<n>      what is in the pool, with checksums; written every second
    jobs/<id>/cancel          somebody wants it to stop

A job that is done leaves nothing of this. Of one that died, the next backup takes over what was
copied, and removes what was planned and is of no use (see `kitestring.backup.sweep`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from kitestring.backup.lock import Lock
from kitestring.clients.lease import Owner, this_process
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import Interrupted, ObjectMissing, StoreError
from kitestring.model.backup import StoredObject
from kitestring.model.codec import from_plain, to_plain

JOBS = "jobs"
FLUSHING, COPYING, READING, PUBLISHING = "flushing", "copying", "reading", "publishing"
FAILED, CANCELLED = "failed", "cancelled"
_EVERY = 1.0  # seconds between two writes
_BATCH = 256  # copied objects, or fewer where a second has passed


@dataclass(frozen=True, slots=True)
class JobState:
    """What the state object says. Times are ms since the epoch."""

    id: str  # of the backup that it makes
    cluster: str
    owner: Owner
    started: int
    updated: int
    phase: str = FLUSHING
    collection: str = ""
    objects_done: int = 0
    objects_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    copied_bytes: int = 0  # of those done: the rest was in the pool
    rate: float = 0.0  # bytes copied per second in this phase
    eta: float | None = None  # seconds to the end of this phase
    outcome: str = ""  # empty while it runs, FAILED or CANCELLED
    message: str = ""
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a job that died has left."""

    id: str
    planned: frozenset[str]  # keys of the pool
    copied: tuple[StoredObject, ...]
    updated: int  # ms since the epoch


class Job:
    """The job of this process. All but `plan` and `copied` is called by one thread.

    `beat` is called often: it writes and asks only when a second has passed.
    """

    def __init__(
        self,
        store: ObjectStore,
        lock: Lock,
        id_: str,
        cluster: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._lock, self._clock = store, lock, clock
        now = _now()
        self.state = JobState(id_, cluster, this_process(), now, now)
        self.planned: set[str] = set()
        self._batch: list[StoredObject] = []
        self._lists = 0
        self._due = clock() + _EVERY
        self._since = clock()
        self._guard = threading.Lock()
        self.seconds: dict[str, float] = {}
        self._write()

    def phase(self, name: str, collection: str = "", objects: int = 0, size: int = 0) -> None:
        """A part of the work begins. `objects` and `size` (bytes) are what there is to do."""
        self._end_phase()
        self.state = replace(
            self.state, phase=name, collection=collection, objects_done=0, objects_total=objects,
            bytes_done=0, bytes_total=size, copied_bytes=0, rate=0.0, eta=None,
        )  # fmt: skip
        self._since = self._clock()
        self._save()

    def _end_phase(self) -> None:
        spent = self._clock() - self._since
        self.seconds[self.state.phase] = self.seconds.get(self.state.phase, 0.0) + spent

    def plan(self, keys: Iterable[str]) -> None:
        """Notes keys that are about to be written."""
        new = sorted(set(keys) - self.planned)
        if new:
            with self._guard:
                self.planned.update(new)
                self._list("planned", new)

    def copied(self, stored: StoredObject) -> None:
        """Notes an object that is in the pool, and counts as copied."""
        with self._guard:
            self._batch.append(stored)

    def progress(self, size: int, *, copied: bool = True) -> None:
        """One object more is done, of `size` bytes."""
        state = self.state
        done = state.bytes_done + size
        moved = state.copied_bytes + (size if copied else 0)
        spent = self._clock() - self._since
        rate = moved / spent if spent > 0 else 0.0
        left = max(0, state.bytes_total - done)
        self.state = replace(
            state,
            objects_done=state.objects_done + 1,
            bytes_done=done,
            copied_bytes=moved,
            rate=rate,
            eta=left / rate if rate else None,
        )
        self.beat()

    def beat(self) -> None:
        """A sign of life.

        Raises:
            Interrupted: somebody has asked the job to stop.
            BackupBusy: the lock was taken over.
        """
        self._lock.renew()
        if self._clock() >= self._due or len(self._batch) >= _BATCH:
            self._save()
            if self._store.head(_cancel_key(self.state.id)) is not None:
                raise Interrupted(
                    f"the backup {self.state.id} was cancelled",
                    hint="what it has copied is used by the next one",
                )

    def done(self) -> None:
        """The backup is published: nothing of the job is needed any more."""
        forget(self._store, self.state.id)

    def fail(self, outcome: str, message: str) -> None:
        """Says why there is no backup; what was copied is kept for the next one."""
        self.state = replace(self.state, outcome=outcome, message=message)
        with suppress(StoreError):  # a store that is full or gone must not hide what happened
            self._save()

    def _save(self) -> None:
        self._due = self._clock() + _EVERY
        with self._guard:
            if self._batch:
                self._list("copied", to_plain(self._batch))
                self._batch = []
        self._write()

    def _list(self, what: str, items: Sequence[object]) -> None:
        self._lists += 1
        key = f"{JOBS}/{self.state.id}/{what}-{self._lists:06d}"
        self._store.put(key, json.dumps(items, separators=(",", ":")).encode())

    def _write(self) -> None:
        self.state = replace(self.state, updated=_now())
        data = json.dumps(to_plain(self.state), indent=1).encode() + b"\n"
        self._store.put(_state_key(self.state.id), data)


def read_state(store: ObjectStore, id_: str) -> JobState | None:
    """The state of a job; None where there is none, or none that can be read."""
    try:
        return from_plain(JobState, json.loads(store.get(_state_key(id_))))
    except (ObjectMissing, ValueError):
        return None


def job_ids(store: ObjectStore) -> list[str]:
    """Jobs that run, or died; oldest first."""
    names = {i.key.split("/")[1].removesuffix(".json") for i in store.list(f"{JOBS}/")}
    return sorted(names)


def leftovers(store: ObjectStore) -> list[Leftover]:
    """What dead jobs have left; call it with the lock held: then no other job lives.

    A list that was cut short says nothing; the objects that it may have named are told by their
    content when they are needed.
    """
    found = []
    for id_ in job_ids(store):
        planned: set[str] = set()
        copied: list[StoredObject] = []
        updated = 0
        for info in list(store.list(f"{JOBS}/{id_}/")):
            name = info.key.rpartition("/")[2]
            try:
                if name.startswith("planned-"):
                    planned.update(json.loads(store.get(info.key)))
                elif name.startswith("copied-"):
                    items = json.loads(store.get(info.key))
                    copied += [from_plain(StoredObject, item) for item in items]
                    updated = max(updated, info.modified)
            except (ValueError, ObjectMissing):
                continue
        found.append(Leftover(id_, frozenset(planned), tuple(copied), updated))
    return found


def forget(store: ObjectStore, id_: str) -> None:
    """Removes a job's objects; its state last, so that a crash leaves a job to be forgotten."""
    for info in list(store.list(f"{JOBS}/{id_}/")):
        store.delete(info.key)
    store.delete(_state_key(id_))


def ask_to_stop(store: ObjectStore, id_: str) -> None:
    """Leaves the sign that `Job.beat` looks for."""
    store.put(_cancel_key(id_), b"cancel\n")


def _state_key(id_: str) -> str:
    return f"{JOBS}/{id_}.json"


def _cancel_key(id_: str) -> str:
    return f"{JOBS}/{id_}/cancel"


def _now() -> int:
    return int(time.time() * 1000)

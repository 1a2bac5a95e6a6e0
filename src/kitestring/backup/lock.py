"""The lock of a catalog: one backup at a time, and a dead one's lock blocks nobody.

The lock is an object, so that it works in any store: created only if absent, with its owner and
an expiry that the owner moves on while it works.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from kitestring.backup.interrupts import shielded
from kitestring.clients.lease import Owner, owner_lives, this_process
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupBusy, ObjectMissing, StoreError
from kitestring.model.codec import from_plain, to_plain

KEY = "locks/backup.json"
LENGTH = 600.0  # seconds that a lock holds without a sign of life of its owner on another host
_RENEW = 60.0  # seconds between two signs of life
_TRIES = 3


@dataclass(frozen=True, slots=True)
class LockState:
    """What the object says. `renewed` is ms since the epoch."""

    owner: Owner
    token: str
    renewed: int
    what: str


class Lock:
    """A lock that is held; see `held`."""

    def __init__(self, store: ObjectStore, state: LockState) -> None:
        self._store = store
        self._state = state
        self._due = time.monotonic() + _RENEW

    def renew(self) -> None:
        """A sign of life, when one is due.

        Raises:
            BackupBusy: the lock is another's now.
        """
        if time.monotonic() < self._due:
            return
        self.check()
        self._state = replace(self._state, renewed=_now())
        self._store.put(KEY, _encode(self._state))
        self._due = time.monotonic() + _RENEW

    def check(self) -> None:
        """Raises BackupBusy when the lock is not ours any more: then nothing may be published."""
        current = _read(self._store)
        if current is None or current.token != self._state.token:
            raise BackupBusy(
                f"the lock of {self._store.url} was taken over",
                hint="this process was taken for dead; nothing was published, run it again",
                subject=KEY,
            )

    def release(self) -> None:
        current = _read(self._store)
        if current is not None and current.token == self._state.token:
            self._store.delete(KEY)


@contextmanager
def held(store: ObjectStore, what: str) -> Iterator[Lock]:
    """The lock of a catalog for the length of a `with` block.

    Raises:
        BackupBusy: a living process holds it.
    """
    state = LockState(this_process(), secrets.token_hex(8), _now(), what)
    for _ in range(_TRIES):
        if store.put_new(KEY, _encode(state)):
            break
        other = _read(store)
        if other is None:
            continue  # released since
        silent = max(0.0, (_now() - other.renewed) / 1000)
        if owner_lives(other.owner, silent=silent, expires=LENGTH):
            raise BackupBusy(
                f"{other.what} runs already: process {other.owner.pid} on {other.owner.host}",
                hint="wait for it; the lock of a process that died is taken over by itself"
                f" (from another host after {LENGTH:g} s)",
                subject=KEY,
            )
        store.delete(KEY)
    else:
        raise BackupBusy(f"the lock of {store.url} can't be had", hint="try again", subject=KEY)
    lock = Lock(store, state)
    try:
        lock.check()  # two that found the same dead lock: the later one has it
        yield lock
    finally:
        # a store that is full or gone must not hide what happened
        with shielded(), suppress(StoreError):
            lock.release()


def _read(store: ObjectStore) -> LockState | None:
    try:
        return from_plain(LockState, json.loads(store.get(KEY)))
    except ObjectMissing:
        return None
    except ValueError:
        # not written by this tool, or cut short by a store that does not keep its word: dead
        return LockState(Owner(0, 0.0, ""), "", 0, "an unreadable lock")


def _encode(state: LockState) -> bytes:
    return json.dumps(to_plain(state), indent=2).encode() + b"\n"


def _now() -> int:
    return int(time.time() * 1000)

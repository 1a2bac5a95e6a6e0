"""A lock that is an object of a store: one holder at a time, and a dead one's blocks nobody.

So it works in any store, for all machines that reach it: created only if absent, with its owner
and an expiry that the owner moves on while it works.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, replace

from kitestring.clients.lease import Owner, owner_lives, this_process
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import KitestringError, ObjectMissing
from kitestring.model.codec import from_plain, to_plain

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
    """A lock that is held; see `take`."""

    def __init__(
        self, store: ObjectStore, key: str, state: LockState, busy: type[KitestringError]
    ) -> None:
        self._store, self._key = store, key
        self._state, self._busy = state, busy
        self._due = time.monotonic() + _RENEW

    def renew(self) -> None:
        """A sign of life, when one is due.

        Raises:
            busy: the lock is another's now.
        """
        if time.monotonic() < self._due:
            return
        self.check()
        self._state = replace(self._state, renewed=_now())
        self._store.put(self._key, _encode(self._state))
        self._due = time.monotonic() + _RENEW

    def check(self) -> None:
        """Raises `busy` when the lock is not ours any more: then nothing may be published."""
        current = _read(self._store, self._key)
        if current is None or current.token != self._state.token:
            raise self._busy(
                f"the lock of {self._store.url} was taken over",
                hint="this process was taken for dead; nothing was published, run it again",
                subject=self._key,
            )

    def release(self) -> None:
        current = _read(self._store, self._key)
        if current is not None and current.token == self._state.token:
            self._store.delete(self._key)


def take(store: ObjectStore, key: str, what: str, busy: type[KitestringError]) -> Lock:
    """Takes the lock that the object `key` is; release it after use.

    Args:
        what: the holder is at, such as "a backup".
        busy: raised where a living process holds it.
    """
    state = LockState(this_process(), secrets.token_hex(8), _now(), what)
    for _ in range(_TRIES):
        if store.put_new(key, _encode(state)):
            break
        other = _read(store, key)
        if other is None:
            continue  # released since
        silent = max(0.0, (_now() - other.renewed) / 1000)
        if owner_lives(other.owner, silent=silent, expires=LENGTH):
            raise busy(
                f"{other.what} runs already: process {other.owner.pid} on {other.owner.host}",
                hint="wait for it; the lock of a process that died is taken over by itself"
                f" (from another host after {LENGTH:g} s)",
                subject=key,
            )
        store.delete(key)
    else:
        raise busy(f"the lock of {store.url} can't be had", hint="try again", subject=key)
    lock = Lock(store, key, state, busy)
    lock.check()  # two that found the same dead lock: the later one has it
    return lock


def _read(store: ObjectStore, key: str) -> LockState | None:
    try:
        return from_plain(LockState, json.loads(store.get(key)))
    except ObjectMissing:
        return None
    except ValueError:
        # not written by this tool, or cut short by a store that does not keep its word: dead
        return LockState(Owner(0, 0.0, ""), "", 0, "an unreadable lock")


def _encode(state: LockState) -> bytes:
    return json.dumps(to_plain(state), indent=2).encode() + b"\n"


def _now() -> int:
    return int(time.time() * 1000)

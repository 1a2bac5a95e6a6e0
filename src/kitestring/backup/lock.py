"""The lock of a catalog: one backup at a time, and a dead one's lock blocks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kitestring.backup.interrupts import shielded
from kitestring.clients.store.lock import LENGTH as LENGTH
from kitestring.clients.store.lock import Lock as Lock
from kitestring.clients.store.lock import LockState as LockState
from kitestring.clients.store.lock import take
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import BackupBusy, StoreError

KEY = "locks/backup.json"


@contextmanager
def held(store: ObjectStore, what: str) -> Iterator[Lock]:
    """The lock of a catalog for the length of a `with` block.

    Raises:
        BackupBusy: a living process holds it.
    """
    lock = take(store, KEY, what, BackupBusy)
    try:
        yield lock
    finally:
        # a store that is full or gone must not hide what happened
        with shielded(), suppress(StoreError):
            lock.release()

"""The lease of a collection for ingesters on several machines, in a store that all of them reach.

The ledger's own lease holds among those who share its directory. With `ingest.lease` of the spec
an object of that store is taken too; see `kitestring.clients.store.lock` for how it is held.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from kitestring.clients.store.connect import open_store
from kitestring.clients.store.lock import Lock, take
from kitestring.errors import LedgerBusy, StoreError
from kitestring.spec.loaded import LoadedSpec

_POLL = 1.0  # seconds between two looks at a lease that another holds
_BEAT = 20.0  # seconds between two looks at whether a sign of life is due


class SharedLease:
    """The leases of a cluster's collections in the store that the spec names."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self._loaded = loaded
        self._lost = ""

    @contextmanager
    def held(
        self, collection: str, deadline: float, waiting: Callable[[str], None] | None
    ) -> Iterator[None]:
        """Holds a collection's lease; nothing where the spec asks for none.

        Args:
            deadline: of `time.monotonic`, until which to wait for another holder.
            waiting: told once by whom it is held.

        Raises:
            LedgerBusy: another living ingestion holds it. StoreError, SecretMissing: the store
            can't be used.
        """
        asked = self._loaded.spec.ingest.lease
        if asked is None:
            yield
            return
        self._lost = ""
        store = open_store(self._loaded, asked)
        key = f"leases/{self._loaded.spec.cluster.name}/{collection}.json"
        while True:
            try:
                lock = take(store, key, f"another ingestion into `{collection}`", LedgerBusy)
                break
            except LedgerBusy as busy:
                if time.monotonic() >= deadline:
                    raise
                if waiting is not None:
                    waiting(busy.message)
                    waiting = None
                time.sleep(_POLL)
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(lock, over), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(StoreError):  # it expires
                lock.release()

    def check(self) -> None:
        """Raises LedgerBusy where the lease has been seen to be another's."""
        if self._lost:
            raise LedgerBusy(self._lost, hint="run it again when the other one has ended")

    def _beat(self, lock: Lock, over: threading.Event) -> None:
        while not over.wait(_BEAT):
            try:
                lock.renew()
            except LedgerBusy as error:
                self._lost = error.message
                return
            except StoreError:  # one sign of life that is missed is no harm
                continue

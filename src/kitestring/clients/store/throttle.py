"""Limits what a backup or a restore takes of an object store: bytes and requests per second."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from kitestring.clients.store.protocol import ObjectInfo, ObjectStore, bare
from kitestring.errors import Interrupted
from kitestring.spec.backup import Budget

_BURST = 0.25  # seconds' worth that may be taken at once
_PIECE = 256 * 1024  # bytes


class Throttle:
    """Two token buckets and a gate, shared by threads and by several stores.

    A bucket may be overdrawn by one caller; who comes next waits until it is level again. So an
    object that is copied on the server, whose size is known afterwards, counts as well.

    Args:
        max_bytes_per_second, max_requests_per_second: None for no limit.
        clock, sleep: seconds; for tests.
    """

    def __init__(
        self,
        max_bytes_per_second: float | None = None,
        max_requests_per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self.piece = _PIECE  # bytes of a stream that are let through at a time
        if max_bytes_per_second is not None:
            self.piece = int(min(_PIECE, max(1024, max_bytes_per_second * _BURST / 4)))
        self._bytes = _Bucket(max_bytes_per_second, clock)
        self._requests = _Bucket(max_requests_per_second, clock)
        self._open = threading.Event()
        self._open.set()

    def pause(self) -> None:
        """Nothing is let through from now on, until `resume`."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def stop(self) -> None:
        """Nobody waits any more: who does, and who comes, is told by Interrupted."""
        self._stopped.set()
        self._open.set()

    def restart(self) -> None:
        """Undoes `stop`."""
        self._stopped.clear()

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    def request(self) -> None:
        """Waits until one more request may be made."""
        self._pass()
        self._wait(self._requests, 1)
        self._wait(self._bytes, 0)

    def bytes(self, count: int) -> None:
        """Waits until so many bytes have their place."""
        self._pass()
        self._wait(self._bytes, count)

    def spent(self, count: int) -> None:
        """Counts bytes that are through already: who comes next waits for them."""
        self._bytes.take(count)

    def _pass(self) -> None:
        self._open.wait()
        if self._stopped.is_set():
            raise Interrupted("copying was stopped")

    def _wait(self, bucket: _Bucket, count: float) -> None:
        delay = bucket.take(count)
        if delay > 0:
            self._sleep(delay)
            self._pass()


class _Bucket:
    """Tokens that come in at a steady rate, at most `_BURST` seconds' worth of them."""

    def __init__(self, rate: float | None, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._level = 0.0
        self._at = clock()

    def take(self, count: float) -> float:
        """Takes tokens; the seconds that the caller has to wait for them."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            self._level = min(self._rate * _BURST, self._level + (now - self._at) * self._rate)
            self._at = now
            self._level -= count
            return max(0.0, -self._level / self._rate)


class ThrottledStore:
    """A store whose requests and bytes are counted by a throttle."""

    def __init__(self, store: ObjectStore, throttle: Throttle) -> None:
        self.plain = self.inner = store
        self._throttle = throttle

    @property
    def url(self) -> str:
        return self.plain.url

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for number, info in enumerate(self.plain.list(prefix)):
            if number % 1000 == 0:  # a page of S3
                self._throttle.request()
            yield info

    def get(self, key: str) -> bytes:
        self._throttle.request()
        data = self.plain.get(key)
        self._throttle.bytes(len(data))
        return data

    def open(self, key: str) -> BinaryIO:
        self._throttle.request()
        return cast(BinaryIO, _Metered(self.plain.open(key), self._throttle))

    def head(self, key: str) -> ObjectInfo | None:
        self._throttle.request()
        return self.plain.head(key)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        self._throttle.request()
        if isinstance(data, bytes):
            self._throttle.bytes(len(data))
            self.plain.put(key, data)
        else:
            self.plain.put(key, cast(BinaryIO, _Metered(data, self._throttle)))

    def put_new(self, key: str, data: bytes) -> bool:
        self._throttle.request()
        return self.plain.put_new(key, data)

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        self._throttle.request()
        if _within_server(self.plain, other):
            size, sha256 = self.plain.copy_from(bare(other), source_key, key)
            self._throttle.spent(size)
            return size, sha256
        # what streams through this machine is slowed down while it does
        metered = cast(ObjectStore, _MeteredSource(bare(other), self._throttle))
        return self.plain.copy_from(metered, source_key, key)

    def server_path(self, key: str) -> str:
        return self.plain.server_path(key)

    def delete(self, key: str) -> None:
        self._throttle.request()
        self.plain.delete(key)

    def sweep(self, older_than: float) -> int:
        return self.plain.sweep(older_than)


class _MeteredSource:
    """A store to copy from, whose streams are metered; all the rest is its own."""

    def __init__(self, store: ObjectStore, throttle: Throttle) -> None:
        self._store, self._throttle = store, throttle

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def open(self, key: str) -> BinaryIO:
        return cast(BinaryIO, _Metered(self._store.open(key), self._throttle))


class _Metered:
    """A stream whose bytes are let through piece by piece."""

    def __init__(self, stream: BinaryIO, throttle: Throttle) -> None:
        self._stream, self._throttle = stream, throttle

    def read(self, size: int = -1) -> bytes:
        wanted = sys.maxsize if size < 0 else size
        pieces: list[bytes] = []
        while wanted > 0 and (data := self._stream.read(min(wanted, self._throttle.piece))):
            self._throttle.bytes(len(data))
            pieces.append(data)
            wanted -= len(data)
        return b"".join(pieces)

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> _Metered:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def throttle_of(budget: Budget) -> Throttle | None:
    """The throttle of a budget; None where it limits nothing."""
    if budget == Budget():
        return None
    return Throttle(budget.max_bytes_per_second, budget.max_requests_per_second)


def budgeted(store: ObjectStore, budget: Budget | Throttle | None) -> ObjectStore:
    """The store within a budget; hand the same `Throttle` to all stores that share one."""
    throttle = throttle_of(budget) if isinstance(budget, Budget) else budget
    return store if throttle is None else ThrottledStore(store, throttle)


def _within_server(store: ObjectStore, other: ObjectStore) -> bool:
    """Whether a copy from the other store does not pass through this machine."""
    within = getattr(bare(store), "copies_within", None)
    return bool(within is not None and within(bare(other)))

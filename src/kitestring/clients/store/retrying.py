"""Calls of a store that fail for a moment are made again: with jitter, and not for ever.

Only errors that say of themselves that they are `transient` are retried: no answer, a reset, a
timeout, 5xx, `SlowDown`. What a store refuses, misses or has no room for is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import SEEK_SET
from typing import BinaryIO, TypeVar, cast

from kitestring.clients.store.protocol import CHUNK, ObjectInfo, ObjectStore
from kitestring.errors import ObjectMissing, StoreError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried again. Seconds."""

    attempts: int = 8
    deadline: float = 120.0  # of one call with all its attempts
    first: float = 0.1  # the wait grows from this, doubling, with up to `jitter` on top
    longest: float = 10.0
    jitter: float = 0.5


class RetryingStore:
    """A store whose transient failures are retried. `retried` counts them."""

    def __init__(self, store: ObjectStore, patience: Patience | None = None) -> None:
        self.plain = self.inner = store
        self.patience = patience or Patience()
        self.retried = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.plain.url

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        # asked again, a listing begins again: nothing of it is given before it is whole
        yield from self._again(lambda: list(self.plain.list(prefix)))

    def get(self, key: str) -> bytes:
        return self._again(lambda: self.plain.get(key))

    def open(self, key: str) -> BinaryIO:
        stream = self._again(lambda: self.plain.open(key))
        return cast(BinaryIO, _Resumed(stream, self, key))

    def head(self, key: str) -> ObjectInfo | None:
        return self._again(lambda: self.plain.head(key))

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        if isinstance(data, bytes):
            self._again(lambda: self.plain.put(key, data))
        elif data.seekable():
            start = data.tell()

            def write() -> None:
                data.seek(start, SEEK_SET)
                self.plain.put(key, data)

            self._again(write)
        else:
            self.plain.put(key, data)  # its bytes can't be had twice

    def put_new(self, key: str, data: bytes) -> bool:
        tries = 0

        def write() -> bool:
            nonlocal tries
            tries += 1
            if self.plain.put_new(key, data):
                return True
            # the answer to an earlier try may have been lost on its way
            return tries > 1 and self._is(key, data)

        return self._again(write)

    def _is(self, key: str, data: bytes) -> bool:
        try:
            return self.plain.get(key) == data
        except ObjectMissing:
            return False

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        return self._again(lambda: self.plain.copy_from(_unretried(other), source_key, key))

    def server_path(self, key: str) -> str:
        return self.plain.server_path(key)

    def delete(self, key: str) -> None:
        self._again(lambda: self.plain.delete(key))

    def sweep(self, older_than: float) -> int:
        return self.plain.sweep(older_than)

    def _again(self, call: Callable[[], T]) -> T:
        import stamina

        def transient(error: Exception) -> bool:
            again = isinstance(error, StoreError) and error.transient
            if again:
                with self._lock:
                    self.retried += 1
            return again

        patience = self.patience
        for attempt in stamina.retry_context(
            on=transient,
            attempts=patience.attempts,
            timeout=patience.deadline,
            wait_initial=patience.first,
            wait_max=patience.longest,
            wait_jitter=patience.jitter,
        ):
            with attempt:
                return call()
        raise AssertionError("a retry ends with a result or an error")


class _Resumed:
    """A stream that is opened again where it was broken off."""

    def __init__(self, stream: BinaryIO, store: RetryingStore, key: str) -> None:
        self._stream, self._store, self._key = stream, store, key
        self._at = 0
        self._broken = False

    def read(self, size: int = -1) -> bytes:
        def more() -> bytes:
            if self._broken:
                self._reopen()
            try:
                return self._stream.read(size)
            except StoreError:
                self._broken = True
                raise

        data = self._store._again(more)
        self._at += len(data)
        return data

    def _reopen(self) -> None:
        self._stream.close()
        self._stream = self._store.plain.open(self._key)
        left = self._at
        while left and (data := self._stream.read(min(left, CHUNK))):
            left -= len(data)
        self._broken = False

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> _Resumed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unretried(store: ObjectStore) -> ObjectStore:
    """To copy from: the copy is retried as a whole."""
    while isinstance(store, RetryingStore):
        store = store.plain
    return store


def sturdy(store: ObjectStore, patience: Patience | None = None) -> ObjectStore:
    """The store with retries; once, however often it is asked for."""
    return store if isinstance(store, RetryingStore) else RetryingStore(store, patience)

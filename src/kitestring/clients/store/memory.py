"""An object store in memory, for tests; it can be told to fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO

from kitestring.clients.store.protocol import HashingReader, ObjectInfo, ObjectStore, check_key
from kitestring.errors import ObjectMissing


class MemoryStore:
    """Objects in a dict. `before` is called with the operation and key ahead of each access;
    what it raises is what the caller sees."""

    def __init__(self, name: str = "store") -> None:
        self.name = name
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.before: Callable[[str, str], None] = lambda operation, key: None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"memory://{self.name}"

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.before("list", prefix)
        with self._lock:
            keys = sorted(k for k in self.objects if k.startswith(prefix))
            found = [ObjectInfo(k, len(self.objects[k]), self.times[k]) for k in keys]
        return iter(found)

    def get(self, key: str) -> bytes:
        self.before("get", check_key(key))
        try:
            return self.objects[key]
        except KeyError:
            raise ObjectMissing(f"there is no object {self.url}/{key}", subject=key) from None

    def open(self, key: str) -> BinaryIO:
        return BytesIO(self.get(key))

    def head(self, key: str) -> ObjectInfo | None:
        self.before("head", check_key(key))
        data = self.objects.get(key)
        return None if data is None else ObjectInfo(key, len(data), self.times[key])

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        self.before("put", check_key(key))
        content = data if isinstance(data, bytes) else data.read()
        with self._lock:
            self.objects[key] = content
            self.times[key] = time.time_ns() // 1_000_000

    def put_new(self, key: str, data: bytes) -> bool:
        self.before("put", check_key(key))
        with self._lock:
            if key in self.objects:
                return False
            self.objects[key] = data
            self.times[key] = time.time_ns() // 1_000_000
            return True

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        with other.open(source_key) as stream:
            reader = HashingReader(stream)
            self.put(key, reader.read())
        return reader.size, reader.sha256

    def server_path(self, key: str) -> str:
        return key

    def delete(self, key: str) -> None:
        self.before("delete", check_key(key))
        with self._lock:
            self.objects.pop(key, None)
            self.times.pop(key, None)

    def sweep(self, older_than: float) -> int:
        return 0

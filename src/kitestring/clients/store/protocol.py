"""What the other rooms may ask of an object store, and what its implementations share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

from kitestring.errors import StoreError

CHUNK = 4 * 1024 * 1024  # bytes read at a time


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as a listing shows it."""

    key: str
    size: int  # bytes
    modified: int  # ms since the epoch


Data: TypeAlias = bytes | memoryview
"""The bytes of an object."""


class ObjectReader(Protocol):
    """The part of a store that reading segments needs."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in the order of the keys."""
        ...

    def get(self, key: str) -> Data:
        """Raises: ObjectMissing."""
        ...


class ObjectStore(ObjectReader, Protocol):
    """A flat set of objects. Keys are relative, with `/` between their parts.

    Every method raises a subclass of `kitestring.errors.StoreError`: StoreUnreachable,
    StoreFull, ObjectMissing, or StoreError itself for the rest. A write is there whole or not at
    all: who lists or reads never sees a part of an object.
    """

    def get(self, key: str) -> bytes:
        """Raises: ObjectMissing."""
        ...

    @property
    def url(self) -> str:
        """What the store is, for people: `file:///…` or `s3://bucket/prefix`. No secrets."""
        ...

    def open(self, key: str) -> BinaryIO: ...
    def head(self, key: str) -> ObjectInfo | None:
        """Size and time of an object; None where there is none."""
        ...

    def put(self, key: str, data: bytes | BinaryIO) -> None: ...
    def put_new(self, key: str, data: bytes) -> bool:
        """Writes the object unless there is one of that key; says whether it wrote."""
        ...

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        """Copies one object of another store; returns its size and its SHA-256 (hex)."""
        ...

    def server_path(self, key: str) -> str:
        """How a Milvus server that keeps its data in this store names the object or prefix."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object; no error where there is none."""
        ...

    def sweep(self, older_than: float) -> int:
        """Removes what writers that died left half-written, `older_than` seconds ago or more;
        returns how many."""
        ...


def bare(store: ObjectStore) -> ObjectStore:
    """The store itself, without what retries or slows its calls down around it.

    A wrapper that changes what objects hold has no `plain`, and is not taken off.
    """
    while (inner := getattr(store, "plain", None)) is not None:
        store = inner
    return store


def check_key(key: str) -> str:
    """The key, if it is one.

    Raises:
        StoreError: it is empty, absolute, or has an empty part, `.` or `..`.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in key or "\\" in key:
        raise StoreError(
            f"`{key}` is not a key of an object store",
            hint="a key is relative, and none of its parts is empty, `.` or `..`",
            subject=key,
        )
    return key


class HashingReader:
    """A stream that is hashed while somebody else reads it. It can't seek, on purpose."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class HashingWriter:
    """An open file that is hashed while it is written, from its beginning to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes | memoryview) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def sha256_of(store: ObjectStore, key: str) -> tuple[int, str]:
    """Size and SHA-256 (hex) of an object, reading it once in bounded memory.

    Raises:
        ObjectMissing: there is none.
    """
    with store.open(key) as stream:
        reader = HashingReader(stream)
        for _ in chunks(reader.read):
            pass
    return reader.size, reader.sha256


def chunks(read: Callable[[int], bytes], size: int = CHUNK) -> Iterator[bytes]:
    """What is left of a stream, so many bytes at a time."""
    while data := read(size):
        yield data


def exists(store: ObjectStore, key: str) -> bool:
    """Whether there is an object of that key."""
    return store.head(key) is not None


def join(*parts: str) -> str:
    """Parts of a key with `/` between them; empty ones are left out."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))

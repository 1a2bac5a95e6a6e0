"""A store whose pool is sealed: what goes in is encrypted here, what comes out is opened here.

Everything else of a store goes through as it is: manifests stay readable (and are signed), and so
do backups that were made before encryption was turned on. Sizes are those of what was sealed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, cast

from kitestring.backup.seal.sealer import Place, Sealer, place_of
from kitestring.backup.seal.stream import (
    OpeningReader,
    Readable,
    SealingReader,
    plain_size,
    read_head,
)
from kitestring.clients.store.protocol import (
    HashingReader,
    ObjectInfo,
    ObjectStore,
    check_key,
    chunks,
    sha256_of,
)
from kitestring.errors import ObjectMissing, SealError, SealKeyMissing, StoreError

NO_SIZE = -1  # of an object whose length no sealed one has: it was cut short
_POOL = "pool/"
_SMALL = 8 * 1024 * 1024  # bytes up to which an object is sealed in memory


class SealedStore:
    """A store, and who seals and opens its pool.

    Args:
        inner: where the sealed bytes are.
        sealer: None where the spec says nothing of encryption: then sealed objects don't open,
            and new ones are written in clear.
    """

    def __init__(self, inner: ObjectStore, sealer: Sealer | None) -> None:
        self.inner = inner
        self.sealer = sealer
        self._written: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def can_read(self) -> bool:
        """Whether what is written now can be read back by this host."""
        return self.sealer is None or self.sealer.can_open

    def pool_name(self, cluster: str) -> str:
        """Where new objects of a cluster go, below `pool/`."""
        return f"{cluster}/{self.sealer.folder}" if self.sealer else cluster

    @property
    def plain(self) -> ObjectStore:
        """Nothing is sealed: copies may go past this store, on the server (see `bare`)."""
        if self.sealer is not None:
            raise AttributeError("plain")
        return self.inner

    # --- reading

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (self._info(found) for found in self.inner.list(prefix))

    def head(self, key: str) -> ObjectInfo | None:
        found = self.inner.head(key)
        return None if found is None else self._info(found)

    def get(self, key: str) -> bytes:
        if place_of(key) is None:
            return self.inner.get(key)
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        """The object's content as a stream that can't seek; at most 2 MiB of it are in memory.

        Raises:
            ObjectMissing, and what `Sealer.open` and `OpeningReader` raise.
        """
        place = place_of(key)
        if place is None:
            return self.inner.open(key)
        if self.sealer is None:
            raise SealKeyMissing(
                f"the object {key} is sealed by {place.how}, and the spec says nothing of "
                "encryption",
                hint="write `backup.encryption` with the key that opens it",
                subject=key,
            )
        stream = self.inner.open(key)
        try:
            head = read_head(stream, place.head, key)
            aead, bound = self.sealer.open(place, head, key)
        except BaseException:
            stream.close()
            raise
        return cast(BinaryIO, OpeningReader(stream, aead, bound, key))

    # --- writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        place = self._to_seal(key)
        if place is None:
            self.inner.put(key, data)
        else:
            self._put(place, key, BytesIO(data) if isinstance(data, bytes) else data)

    def put_new(self, key: str, data: bytes) -> bool:
        place = self._to_seal(key)
        if place is None:
            return self.inner.put_new(key, data)
        return self.inner.put_new(key, self._sealing(place, key, BytesIO(data)).read())

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        place = self._to_seal(key)
        if place is None:
            return self.inner.copy_from(other, source_key, key)
        with other.open(source_key) as stream:
            reader = HashingReader(stream)
            self._put(place, key, reader)
            for _ in chunks(reader.read):  # nothing is left, unless the upload stopped early
                raise StoreError(f"the copy to {self.url}/{key} is not whole", subject=key)
        return reader.size, reader.sha256

    def server_path(self, key: str) -> str:
        if place_of(key):
            raise SealError(f"a Milvus server can't read the sealed object {key}", subject=key)
        return self.inner.server_path(key)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def sweep(self, older_than: float) -> int:
        return self.inner.sweep(older_than)

    def changed_since_written(self, key: str) -> bool:
        """Whether the store gives other bytes for a sealed object than this run has written.

        For hosts that can seal and not open. False for what another run has written.
        """
        with self._lock:
            wanted = self._written.get(key)
        if wanted is None:
            return False
        try:
            return sha256_of(self.inner, key) != wanted
        except ObjectMissing:
            return True

    # --- within

    def _info(self, found: ObjectInfo) -> ObjectInfo:
        place = place_of(found.key)
        if place is None:
            return found
        size = plain_size(found.size, place.head)
        return ObjectInfo(found.key, NO_SIZE if size is None else size, found.modified)

    def _to_seal(self, key: str) -> Place | None:
        """The place of an object that is to be written; None where it is written as it is.

        Raises:
            SealError: it would stand in the pool, but not where this spec's objects do.
        """
        place = place_of(check_key(key))
        mine = self.sealer and place and place.pool.endswith(f"/{self.sealer.folder}")
        if place and not mine:
            raise SealError(f"{key} is sealed to others: it is never written again", subject=key)
        if self.sealer and not place and key.startswith(_POOL):
            raise SealError(
                f"{key} would be written in clear, and the spec wants backups sealed",
                hint="this is a fault of kitestring: new objects go below `Catalog.pool_name`",
                subject=key,
            )
        return place

    def _sealing(self, place: Place, key: str, source: Readable) -> SealingReader:
        if self.sealer is None:
            raise SealError(f"nothing seals {key}", subject=key)
        return SealingReader(source, *self.sealer.seal(place, key))

    def _put(self, place: Place, key: str, source: Readable) -> None:
        sealing = self._sealing(place, key, source)
        if self.can_read:
            self._send(key, sealing)
            return
        reader = HashingReader(cast(BinaryIO, sealing))
        self._send(key, reader)
        with self._lock:
            self._written[key] = reader.size, reader.sha256

    def _send(self, key: str, source: Readable) -> None:
        first = source.read(_SMALL)
        if len(first) < _SMALL:
            self.inner.put(key, first)  # one request, which a store can repeat
        else:
            self.inner.put(key, cast(BinaryIO, _Joined(first, source)))


class _Joined:
    """What was read of a stream already, and the rest."""

    def __init__(self, first: bytes, rest: Readable) -> None:
        self._first, self._rest = BytesIO(first), rest

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            return self._first.read() + self._rest.read()
        return self._first.read(size) or self._rest.read(size)

    def seekable(self) -> bool:
        return False


def can_read(store: object) -> bool:
    """Whether what is written into a store now can be read back by this host."""
    return bool(getattr(store, "can_read", True))

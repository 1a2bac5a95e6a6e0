"""The pool: every object that a backup of a cluster has ever needed, once.

An object is kept under `pool/<cluster>/<its key below Milvus's root path>`. Milvus never changes
an object, and its ids come from its clock, so a key names a content. That is checked all the
same: an object of the pool is never overwritten by another content.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from kitestring.backup.buffers import Buffers
from kitestring.clients.store.protocol import (
    Data,
    HashingReader,
    ObjectInfo,
    ObjectStore,
    chunks,
    join,
    sha256_of,
)
from kitestring.errors import BackupDamaged, ObjectMissing
from kitestring.model.backup import StoredObject

POOL = "pool"
_LARGE = 4 * 1024 * 1024  # bytes of an object that is read into memory that is there already
_PIECE = 1024 * 1024  # bytes that are read and hashed at a time: they are in the processor's cache
DAMAGED = "damaged.json"  # keys of the pool that a verification has found wrong


@dataclass(frozen=True, slots=True)
class Source:
    """Where a cluster keeps its segments."""

    store: ObjectStore
    root: str  # Milvus's root path as a key prefix; may be empty

    def relative(self, key: str) -> str:
        return key[len(self.root) + 1 :] if self.root else key

    def key(self, relative: str) -> str:
        return join(self.root, relative)


class PoolReader:
    """The objects of a backup under the keys that they had, each checked against its checksum.

    What reads a live cluster's segments reads a backup's through it, and can't be given a byte
    that was not backed up.

    Args:
        repair: brings a damaged object back from its source; None where there is none.
        read: gets an object from elsewhere than the pool: the same bytes, says their checksum.

    Raises (get):
        BackupDamaged: the pool's object is missing or changed.
    """

    def __init__(
        self,
        pool: ObjectStore,
        objects: Iterable[StoredObject],
        *,
        repair: Callable[[StoredObject], None] | None = None,
        read: Callable[[StoredObject], bytes] | None = None,
    ) -> None:
        self._pool, self._elsewhere = pool, read
        self._objects = {o.source: o for o in objects}
        self._sources = sorted(self._objects)
        self._repair = repair
        self._unread = set(self._objects)
        self._buffers = Buffers()

    def rest(self, wanted: Collection[str] | None = None) -> None:
        """Reads what nobody has read yet, so that every object has been checked.

        Args:
            wanted: source keys; None for all.
        """
        for key in sorted(self._unread if wanted is None else self._unread.intersection(wanted)):
            self.get(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for position in range(bisect_left(self._sources, prefix), len(self._sources)):
            source = self._sources[position]
            if not source.startswith(prefix):
                return
            yield ObjectInfo(source, self._objects[source].size, 0)

    def get(self, key: str) -> Data:
        try:
            wanted = self._objects[key]
        except KeyError:
            raise ObjectMissing(f"the backup has no object `{key}`", subject=key) from None
        data, problem = self._read(wanted)
        if problem and self._repair is not None:
            self._repair(wanted)
            data, problem = self._read(wanted)
        if problem:
            raise BackupDamaged(problem, hint="restore another backup", subject=wanted.key)
        self._unread.discard(key)
        return data

    def _read(self, wanted: StoredObject) -> tuple[Data, str]:
        try:
            data, sha256 = self._hashed(wanted)
        except ObjectMissing:
            return b"", f"the object {wanted.key} is missing"
        except BackupDamaged as error:  # sealed, and not as it was sealed
            return b"", error.message
        if len(data) != wanted.size:
            return b"", f"the object {wanted.key} has {len(data)} bytes, not {wanted.size}"
        if sha256 != wanted.sha256:
            return b"", f"the object {wanted.key} is not what was backed up: its SHA-256 differs"
        return data, ""

    def _hashed(self, wanted: StoredObject) -> tuple[Data, str]:
        """The bytes of an object, and their SHA-256."""
        if self._elsewhere is not None or wanted.size < _LARGE:
            found = (self._elsewhere or self._whole)(wanted)
            return found, hashlib.sha256(found).hexdigest()
        view, at = self._buffers.take(wanted.size), 0
        with self._pool.open(wanted.key) as stream:
            reader = HashingReader(stream)
            for piece in chunks(reader.read, _PIECE):
                if reader.size > wanted.size:
                    return self._whole(wanted), ""
                view[at : reader.size] = piece
                at = reader.size
        return view[:at], reader.sha256

    def _whole(self, wanted: StoredObject) -> bytes:
        return self._pool.get(wanted.key)


def repairer(source: Source, pool: ObjectStore) -> Callable[[StoredObject], None]:
    """Copies an object of the pool again from the cluster, where that still has the same."""

    def repair(stored: StoredObject) -> None:
        try:
            if sha256_of(source.store, source.key(stored.source)) == (stored.size, stored.sha256):
                pool.copy_from(source.store, source.key(stored.source), stored.key)
        except ObjectMissing:
            return

    return repair

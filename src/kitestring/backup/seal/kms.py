"""Sealing with a data key that a key service wraps.

An object is a head of `HEAD` bytes and chunks (see `kitestring.backup.seal.stream`), encrypted by
AES-256-GCM:

    kitestring-sealed-kms/1\\n   24 bytes
    length of the wrapped data key, 2 bytes, big-endian
    the wrapped data key, then zeros
    salt, the last 32 bytes of the head

The key of an object is HKDF-SHA-256 of the data key and the salt. A run asks the key service for
one data key, and every object carries it wrapped, so that each can be opened alone. The head and
the object's key are the associated data of every chunk: an object that stands under another key,
or in another object's place, does not open.
"""

from __future__ import annotations

import hashlib
import os
import threading

from kitestring.backup.seal.stream import Aead, broken
from kitestring.clients.kms import KeyService
from kitestring.errors import SealBroken, SealError

HEAD = 1024
_MAGIC = b"kitestring-sealed-kms/1\n"
_SALT = 32
_ROOM = HEAD - len(_MAGIC) - 2 - _SALT
_INFO = b"kitestring-sealed-kms/1 object"


class DataKeys:
    """The data keys of a run: made and opened once each, by any number of threads."""

    def __init__(self, service: KeyService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._made: dict[str, tuple[bytes, bytes]] = {}
        self._opened: dict[tuple[str, bytes], bytes] = {}

    def new(self, pool: str) -> tuple[bytes, bytes]:
        """The data key of this run for a pool: in clear, and wrapped.

        Raises:
            SealError: the key service does not answer, refuses, or wraps to too many bytes.
        """
        with self._lock:
            if pool not in self._made:
                clear, wrapped = self._service.generate(_context(pool))
                if len(clear) != 32 or len(wrapped) > _ROOM:
                    raise SealError(
                        f"the key service gave a data key of {len(clear)} bytes, wrapped to "
                        f"{len(wrapped)}: this tool has room for 32 and {_ROOM}",
                        hint="use a symmetric key of AWS KMS",
                    )
                self._made[pool] = clear, wrapped
                self._opened[pool, wrapped] = clear
            return self._made[pool]

    def open(self, pool: str, wrapped: bytes) -> bytes:
        """A wrapped data key in clear.

        Raises:
            SealBroken, WrongKey, KeyServiceFailed.
        """
        with self._lock:
            if (pool, wrapped) not in self._opened:
                self._opened[pool, wrapped] = self._service.unwrap(wrapped, _context(pool))
            return self._opened[pool, wrapped]


def make_head(keys: DataKeys, pool: str, key: str) -> tuple[bytes, Aead, bytes]:
    """The head of a new object, the cipher of its chunks, and their associated data."""
    clear, wrapped = keys.new(pool)
    salt = os.urandom(_SALT)
    head = _MAGIC + len(wrapped).to_bytes(2, "big") + wrapped.ljust(_ROOM, b"\0") + salt
    return head, _cipher(clear, salt), _bound(head, key)


def open_head(head: bytes, keys: DataKeys, pool: str, key: str) -> tuple[Aead, bytes]:
    """The cipher of an object's chunks, and their associated data.

    Raises:
        SealBroken: the head was changed.
        WrongKey, KeyServiceFailed: the key service does not open its data key.
    """
    length = int.from_bytes(head[len(_MAGIC) : len(_MAGIC) + 2], "big")
    if not head.startswith(_MAGIC) or length > _ROOM:
        raise broken(key)
    start = len(_MAGIC) + 2
    try:
        clear = keys.open(pool, head[start : start + length])
    except SealBroken:
        raise broken(key) from None
    return _cipher(clear, head[-_SALT:]), _bound(head, key)


def _cipher(clear: bytes, salt: bytes) -> Aead:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESGCM(HKDF(SHA256(), 32, salt, _INFO).derive(clear))


def _bound(head: bytes, key: str) -> bytes:
    return hashlib.sha256(head).digest() + key.encode()


def _context(pool: str) -> dict[str, str]:
    """What the key service binds a data key to, and writes into its own log."""
    return {"kitestring:pool": pool}

"""Encryption of a stream in chunks, in bounded memory, pulled by who reads.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption
and its Nonce-Reuse Misuse-Resistance, CRYPTO 2015) as age lays it out (C2SP `age.md`, "Payload"):
chunks of 64 KiB, each with a tag of 16 bytes; the nonce is a counter of 11 bytes and a byte that
is 1 for the last chunk. A chunk that is changed, left out, doubled or moved does not open, nor
does a stream that ends early or goes on. A key serves one stream only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from kitestring.errors import SealBroken

CHUNK = 64 * 1024
TAG = 16
_SEALED = CHUNK + TAG
_AT_ONCE = 8  # chunks read from a store at a time


class Readable(Protocol):
    """What both directions read from."""

    def read(self, size: int = -1, /) -> bytes: ...


class Aead(Protocol):
    """An authenticated cipher with one key: `ChaCha20Poly1305` or `AESGCM` of cryptography."""

    def encrypt(
        self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None
    ) -> bytes: ...

    def decrypt(
        self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None
    ) -> bytes: ...


def sealed_size(plain: int, head: int) -> int:
    """The bytes of a sealed object of `plain` bytes with a head of `head`."""
    return head + plain + TAG * max(1, -(-plain // CHUNK))


def plain_size(sealed: int, head: int) -> int | None:
    """The bytes that a sealed object holds; None where no object has that size."""
    chunks, rest = divmod(sealed - head, _SEALED)
    if chunks < 0:
        return None
    if rest == 0:
        return chunks * CHUNK if chunks else None
    if rest > TAG or (rest == TAG and chunks == 0):
        return chunks * CHUNK + rest - TAG
    return None


class _Pulled:
    """A stream over an iterator of pieces."""

    def __init__(self) -> None:
        self._left = memoryview(b"")
        self._pieces: Iterator[bytes] = self._made()

    def _made(self) -> Iterator[bytes]:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = sys.maxsize if size is None or size < 0 else size
        found = []
        while wanted:
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._left = memoryview(piece)
            found.append(self._left[:wanted])
            wanted -= len(found[-1])
            self._left = self._left[len(found[-1]) :]
        return b"".join(found)


def _split(source: Readable, size: int) -> Iterator[tuple[bytes | memoryview, bool]]:
    """What a stream holds in chunks of `size`, and whether one is the last; there is always a
    last one, which alone may be shorter."""
    rest: bytes | memoryview = b""
    while data := source.read(size * _AT_ONCE):
        # the last chunk is known as such only when nothing follows
        whole = memoryview(b"".join((rest, data)) if rest else data)
        end = (len(whole) - 1) // size * size
        for start in range(0, end, size):
            yield whole[start : start + size], False
        rest = whole[end:]
    yield rest, True


class SealingReader(_Pulled):
    """What is read from it is the sealed form of what it reads."""

    def __init__(self, source: Readable, head: bytes, aead: Aead, bound: bytes | None) -> None:
        """`bound` is the associated data of every chunk."""
        super().__init__()
        self._source, self._head, self._aead, self._bound = source, head, aead, bound

    def _made(self) -> Iterator[bytes]:
        yield self._head
        for counter, (data, last) in enumerate(_split(self._source, CHUNK)):
            yield self._aead.encrypt(_nonce(counter, last), data, self._bound)


class OpeningReader(_Pulled):
    """What is read from it is what was sealed; the head of `source` has been read already.

    Raises (read):
        SealBroken: a chunk does not open. What was read before it was as it was sealed.
    """

    def __init__(self, source: Readable, aead: Aead, bound: bytes | None, key: str) -> None:
        super().__init__()
        self._source, self._aead, self._bound, self._key = source, aead, bound, key

    def _made(self) -> Iterator[bytes]:
        from cryptography.exceptions import InvalidTag

        for counter, (data, last) in enumerate(_split(self._source, _SEALED)):
            try:
                opened = self._aead.decrypt(_nonce(counter, last), data, self._bound)
            except (InvalidTag, ValueError):
                raise broken(self._key) from None
            if not opened and counter:
                raise broken(self._key)
            yield opened

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> OpeningReader:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def read_head(source: Readable, size: int, key: str) -> bytes:
    """The first bytes of a sealed object.

    Raises:
        SealBroken: there are fewer.
    """
    head = b""
    while len(head) < size:
        data = source.read(size - len(head))
        if not data:
            raise broken(key)
        head += data
    return head


def broken(key: str) -> SealBroken:
    """The error for an object that is not as it was sealed."""
    return SealBroken(
        f"the object {key} is not what was sealed: it was changed, cut short or put in another "
        "one's place",
        hint="use another backup; `kitestring backup verify` says which are whole",
        subject=key,
    )


def _nonce(counter: int, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes((last,))

"""A sealed stream is whole or it does not open, and no more than pieces of it are in memory."""

from __future__ import annotations

import io
import os
import tracemalloc
from typing import cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from kitestring.backup.seal.stream import (
    CHUNK,
    TAG,
    OpeningReader,
    SealingReader,
    plain_size,
    read_head,
    sealed_size,
)
from kitestring.errors import SealBroken

AEAD = ChaCha20Poly1305(bytes(32))
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 17 * CHUNK + 1]


def seal(data: bytes) -> bytes:
    return SealingReader(io.BytesIO(data), b"", AEAD, b"name").read()


def unseal(data: bytes, bound: bytes = b"name") -> bytes:
    return OpeningReader(io.BytesIO(data), AEAD, bound, "k").read()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_opens_and_has_the_foretold_size(size: int) -> None:
    data = os.urandom(size)
    sealed = seal(data)
    assert unseal(sealed) == data
    assert len(sealed) == sealed_size(size, 0)
    assert plain_size(len(sealed), 0) == size


@given(st.integers(0, 5 * (CHUNK + TAG)), st.integers(0, 300))
def test_two_sizes_never_look_alike(sealed: int, head: int) -> None:
    size = plain_size(sealed, head)
    assert size is None or sealed_size(size, head) == sealed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lost", [1, TAG, TAG + 1, CHUNK + TAG])
def test_what_is_cut_short_does_not_open(size: int, lost: int) -> None:
    sealed = seal(os.urandom(size))
    if lost <= len(sealed):
        with pytest.raises(SealBroken):
            unseal(sealed[:-lost])


@pytest.mark.parametrize("more", [b"x", bytes(TAG), bytes(CHUNK + TAG)])
def test_what_goes_on_does_not_open(more: bytes) -> None:
    for size in SIZES:
        with pytest.raises(SealBroken):
            unseal(seal(os.urandom(size)) + more)


def test_chunks_can_not_be_moved_doubled_or_left_out() -> None:
    sealed, chunk = seal(os.urandom(4 * CHUNK)), CHUNK + TAG
    a, b, c, d = (sealed[n * chunk : (n + 1) * chunk] for n in range(4))
    for other in (b + a + c + d, a + a + b + c + d, a + c + d, a + b + c, d, b""):
        with pytest.raises(SealBroken):
            unseal(other)


def test_it_does_not_open_under_another_name() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(b"content"), b"another")


def test_a_head_that_is_too_short_is_broken() -> None:
    with pytest.raises(SealBroken):
        read_head(io.BytesIO(b"abc"), 4, "k")


class Endless:
    """A source that is larger than what may be in memory."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1, /) -> bytes:
        count = min(size, self.left)
        self.left -= count
        return bytes(count)


def test_memory_does_not_grow_with_the_object() -> None:
    size = 64 * 1024 * 1024
    tracemalloc.start()
    try:
        sealing = SealingReader(Endless(size), b"", AEAD, None)
        opening = OpeningReader(cast(io.BytesIO, sealing), AEAD, None, "k")
        total = 0
        while data := opening.read(256 * 1024):
            total += len(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert peak < 6 * 1024 * 1024


def test_short_reads_of_a_source_change_nothing() -> None:
    class Dribbling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(1000, size) if size and size > 0 else 1000)

    data = os.urandom(3 * CHUNK + 17)
    sealed = SealingReader(Dribbling(data), b"", AEAD, None).read()
    assert OpeningReader(Dribbling(sealed), AEAD, None, "k").read() == data

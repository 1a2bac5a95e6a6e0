"""MurmurHash3 by column, against published vectors and against a value-by-value version."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.model.murmur import hash_column

_MASK = (1 << 64) - 1


def one(data: bytes, seed: int = 1) -> tuple[int, int]:
    """MurmurHash3_x64_128 written down plainly."""

    def turned(x: int, r: int) -> int:
        return (x << r | x >> (64 - r)) & _MASK

    def mixed(k: int) -> int:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            k = (k ^ k >> 33) * factor & _MASK
        return k ^ k >> 33

    c1, c2, h1, h2 = 0x87C37B91114253D5, 0x4CF5AD432745937F, seed, seed
    whole = len(data) // 16
    for at in range(whole):
        k1 = int.from_bytes(data[16 * at : 16 * at + 8], "little")
        k2 = int.from_bytes(data[16 * at + 8 : 16 * at + 16], "little")
        h1 ^= turned(k1 * c1 & _MASK, 31) * c2 & _MASK
        h1 = ((turned(h1, 27) + h2) * 5 + 0x52DCE729) & _MASK
        h2 ^= turned(k2 * c2 & _MASK, 33) * c1 & _MASK
        h2 = ((turned(h2, 31) + h1) * 5 + 0x38495AB5) & _MASK
    rest = data[16 * whole :]
    if len(rest) > 8:
        h2 ^= turned(int.from_bytes(rest[8:], "little") * c2 & _MASK, 33) * c1 & _MASK
    if rest:
        h1 ^= turned(int.from_bytes(rest[:8], "little") * c1 & _MASK, 31) * c2 & _MASK
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = mixed(h1), mixed(h2)
    h1 = (h1 + h2) & _MASK
    return h1, (h2 + h1) & _MASK


def hashes(values: pa.Array, seed: int = 1) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in hash_column(values, seed)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # of Guava's Murmur3Hash128Test and of smhasher's own program
        (b"abc", "6778ad3f3f3f96b4522dca264174a23b"),
        (b"hello", "029bbd41b3a7d8cb191dae486a901e5b"),
        (b"The quick brown fox jumps over the lazy dog", "6c1b07bc7bbc4be347939ac4a93c437a"),
    ],
)
def test_published_values(text: bytes, wanted: str) -> None:
    ((first, second),) = hashes(pa.array([text], pa.binary()), 0)
    assert {f"{first:016x}", _reversed(first)} & {wanted[:16]}
    assert {f"{second:016x}", _reversed(second)} & {wanted[16:]}


def _reversed(word: int) -> str:
    return word.to_bytes(8, "little").hex()


@settings(max_examples=80)
@given(st.lists(st.binary(max_size=70), max_size=30), st.integers(0, 5))
def test_it_is_the_same_value_by_value(values: list[bytes], skip: int) -> None:
    column = pa.array(values, pa.binary()).slice(skip)
    assert hashes(column) == [one(value) for value in values[skip:]]


def test_equal_lengths_long_values_and_what_is_not_text() -> None:
    texts = [f"{n:064x}" for n in range(500)]
    assert hashes(pa.array(texts)) == [one(t.encode()) for t in texts]
    long = ["x" * 65_535, "", "é\n\"'\\", "\x00", "\x00\x00"]
    assert hashes(pa.array(long)) == [one(t.encode()) for t in long]
    numbers = [-(2**63), -1, 0, 2**63 - 1]
    assert hashes(pa.array(numbers, pa.int64())) == [one(str(n).encode()) for n in numbers]
    assert hashes(pa.array(["a", None])) == [one(b"a"), (0, 0)]
    assert hash_column(pa.array([""])).all()  # the empty text is not taken for a null
    with pytest.raises(ValueError, match="double"):
        hash_column(pa.array([1.5]))

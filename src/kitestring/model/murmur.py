"""MurmurHash3 of whole columns: 128 bits of each value, at some ten million values a second.

For telling rows apart that are compared by hash, where BLAKE2b (`kitestring.model.digest`, for
what is kept or signed) would take longer than reading them. It shows accidents, no adversary.

The algorithm is MurmurHash3_x64_128 by Austin Appleby (public domain; aappleby/smhasher,
`src/MurmurHash3.cpp`). Values of as many blocks of 16 bytes are hashed together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]

_C1, _C2 = np.uint64(0x87C37B91114253D5), np.uint64(0x4CF5AD432745937F)
_BLOCK = 16  # bytes
_SEED = 0x6B697465  # not 0, with which the empty value is (0, 0)
_TOGETHER = 1 << 22  # bytes of values that are hashed at a time


def hash_column(values: pa.Array, seed: int = _SEED) -> Words:
    """The hash of each value, as bytes: shape (rows, 2).

    Args:
        values: text, binary, or whole numbers, which are hashed as their decimal text. A null is
            hashed as (0, 0).
    """
    kind = values.type
    if pa.types.is_integer(kind):
        values = values.cast(pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_binary(kind)):
        raise ValueError(f"values of type {kind} are not hashed")
    _, offset_buffer, data = values.buffers()
    begin, count = values.offset, len(values)
    if not count:
        return np.empty((0, 2), np.uint64)
    offsets = np.frombuffer(offset_buffer, np.int32)[begin : begin + count + 1].astype(np.int64)
    content = np.frombuffer(data if data is not None else b"", np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    found = np.empty((count, 2), np.uint64)
    blocks = lengths // _BLOCK
    for number in np.unique(blocks):
        rows = np.flatnonzero(blocks == number)
        step = max(1, _TOGETHER // (_BLOCK * (int(number) + 1)))
        for at in range(0, len(rows), step):
            part = rows[at : at + step]
            words = _words(content, starts[part], lengths[part], int(number))
            found[part] = _hashed(words, lengths[part], seed)
    if values.null_count:
        found[np.asarray(values.is_null())] = 0
    return found


def _words(
    content: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    blocks: int,
) -> Words:
    """The values as 64-bit words, filled up with zeros to one block more than they have."""
    width = _BLOCK * (blocks + 1)
    same = lengths[0]
    padded = np.zeros((len(starts), width), np.uint8)
    if (lengths == same).all() and (np.diff(starts) == same).all():
        whole = content[starts[0] : starts[0] + same * len(starts)]
        padded[:, :same] = whole.reshape(len(starts), same)
    else:
        columns = np.arange(width)
        inside = columns < lengths[:, None]
        places = (starts[:, None] + columns)[inside]
        padded[inside] = content[places]
    return padded.view("<u8").astype(np.uint64, copy=False)


def _hashed(words: Words, lengths: npt.NDArray[np.int64], seed: int) -> Words:
    first, second = np.full(len(words), seed, np.uint64), np.full(len(words), seed, np.uint64)
    whole = words.shape[1] // 2 - 1
    for block in range(whole):
        first ^= _turned(words[:, 2 * block] * _C1, 31) * _C2
        first = (_turned(first, 27) + second) * np.uint64(5) + np.uint64(0x52DCE729)
        second ^= _turned(words[:, 2 * block + 1] * _C2, 33) * _C1
        second = (_turned(second, 31) + first) * np.uint64(5) + np.uint64(0x38495AB5)
    # the rest; the zeros after it change nothing
    second ^= _turned(words[:, 2 * whole + 1] * _C2, 33) * _C1
    first ^= _turned(words[:, 2 * whole] * _C1, 31) * _C2
    size = lengths.astype(np.uint64)
    first ^= size
    second ^= size
    first = first + second
    second = second + first
    first, second = _mixed(first), _mixed(second)
    first = first + second
    return np.stack([first, second + first], axis=1)


def _turned(words: Words, bits: int) -> Words:
    turned: Words = (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
    return turned


def _mixed(words: Words) -> Words:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        words = (words ^ (words >> np.uint64(33))) * np.uint64(factor)
    mixed: Words = words ^ (words >> np.uint64(33))
    return mixed

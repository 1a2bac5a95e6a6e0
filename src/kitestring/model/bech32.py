"""Bech32 without a limit of length (BIP 173), as age writes its keys."""

from __future__ import annotations

from collections.abc import Iterable

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def encode(prefix: str, data: bytes) -> str:
    """Lower-case text of a prefix and bytes."""
    values = _regroup(data, 8, 5, pad=True)
    check = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM]) ^ 1
    values += [check >> 5 * (_CHECKSUM - 1 - i) & 31 for i in range(_CHECKSUM)]
    return f"{prefix}1{''.join(_LETTERS[v] for v in values)}"


def decode(text: str) -> tuple[str, bytes]:
    """The prefix (in lower case) and the bytes.

    Raises:
        ValueError: a character is wrong or missing.
    """
    if text not in (text.lower(), text.upper()):
        raise ValueError("it mixes upper and lower case")
    prefix, separator, body = text.lower().rpartition("1")
    if not separator or not prefix or len(body) < _CHECKSUM:
        raise ValueError("it is cut short")
    if any(letter not in _LETTERS for letter in body):
        raise ValueError("it has a character that does not belong")
    values = [_LETTERS.index(letter) for letter in body]
    if _polymod([*_expanded(prefix), *values]) != 1:
        raise ValueError("its checksum is wrong: a character is wrong or missing")
    return prefix, bytes(_regroup(values[:-_CHECKSUM], 5, 8, pad=False))


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for position, generator in enumerate(_GENERATOR):
            if top >> position & 1:
                check ^= generator
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _regroup(data: Iterable[int], size: int, into: int, *, pad: bool) -> list[int]:
    pool = bits = 0
    out: list[int] = []
    for value in data:
        pool = pool << size | value
        bits += size
        while bits >= into:
            bits -= into
            out.append(pool >> bits & ((1 << into) - 1))
    left = pool & ((1 << bits) - 1)
    if pad and bits:
        out.append(left << (into - bits))
    elif not pad and (bits >= size or left):
        raise ValueError("it has spare bits")
    return out

"""Keys that split a range of them into parts of about the same number of rows.

Only counts are asked for, and now and then for the first key of a range: a search over the values
that keys can have, each step of which halves what is left of it. Any key is a right one to split
at; how even the parts are is all that depends on the search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kitestring.clients.milvus.filters import LARGEST, Key

_PROBES = 120  # counts for one split: then two parts stay one
_ASCII, _LAST = 0x7F, 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)  # no characters of their own


class Asked(Protocol):
    """What a search asks of the server, about one range."""

    def upto(self, key: Key) -> int:
        """The rows up to a key."""
        ...

    def first(self, after: Key | None) -> Key | None:
        """The first key above another one, or of all; None where there is none."""
        ...


def split_keys(asked: Asked, rows: int, parts: int) -> list[Key]:
    """At most `parts - 1` keys, ascending, each the last of its part.

    Args:
        rows: in the range.
    """
    found: list[Key] = []
    each = rows / max(1, parts)
    for number in range(1, parts):
        key = _Search(asked, number * each, each / 5).run(found[-1] if found else None)
        if key is not None:
            found.append(key)
    return sorted(set(found))  # rows that are written meanwhile may have disordered them


class _Found(Exception):
    def __init__(self, key: Key) -> None:
        self.key = key


class _Search:
    """One split: a key with `target` rows up to it, more or less `slack`."""

    def __init__(self, asked: Asked, target: float, slack: float) -> None:
        self._asked, self._target, self._slack = asked, target, slack
        self._left = _PROBES

    def run(self, after: Key | None) -> Key | None:
        """None where no key is near enough: one with very many rows is in the way."""
        try:
            first = self._asked.first(after)
            if isinstance(first, str):
                self._text(first)
            elif first is not None:
                self._number(first)
        except _Found as found:
            return found.key
        return None

    def _short(self, key: Key) -> bool:
        """Whether there are too few rows up to a key. Raises _Found where there are just enough."""
        self._left -= 1
        rows = self._asked.upto(key)
        if abs(rows - self._target) <= self._slack:
            raise _Found(key)
        return rows < self._target

    def _number(self, first: int) -> None:
        def key(step: int) -> int:
            return min(LARGEST, first + (1 << step))

        step = _least(lambda step: not self._short(key(step)), 0, 64)
        low, high = (key(step - 1) if step else first), key(step)
        _least(lambda number: not self._short(number), low, high)

    def _text(self, first: str) -> None:
        bucket: tuple[str, int] | None = (first, 0)
        while bucket is not None and self._left > 0:
            bucket = self._narrowed(*bucket)

    def _narrowed(self, first: str, known: int) -> tuple[str, int] | None:
        """A letter further: `first` is the first key of those that share `first[:known]`, and the
        target is among them. None where one key with too many rows is in the way."""
        shared = _least(lambda size: self._short(_end(first[: size + 1])), known, len(first))
        prefix, start = first[:shared], 0
        if shared < len(first):
            start = ord(first[shared]) + 1
        elif not self._short(first):
            return None

        def enough(code: int) -> bool:
            return not self._short(_end(prefix + _letter(code)))

        if start <= _ASCII and enough(_ASCII):
            code = _least(enough, start, _ASCII)
        else:
            code = _least(enough, max(start, _ASCII + 1), _LAST)
        following = self._asked.first(_end(prefix + _letter(code - 1)) if code else prefix)
        if not isinstance(following, str) or not following.startswith(prefix + _letter(code)):
            return None
        return following, shared + 1


def _end(prefix: str) -> str:
    """A key after (nearly) all that begin with a prefix."""
    return prefix + chr(_LAST)


def _letter(code: int) -> str:
    return chr(0xD7FF if code in _SURROGATES else code)


def _least(enough: Callable[[int], bool], low: int, high: int) -> int:
    """The least number from `low` for which it is enough; `high` where it is for none below."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low

"""Split keys, over sorted lists of keys that stand for a server."""

from __future__ import annotations

import random
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from kitestring.clients.milvus.filters import LARGEST, SMALLEST, Key
from kitestring.observe.key_splits import split_keys


class Listed:
    def __init__(self, keys: Sequence[Any]) -> None:
        self.keys = sorted(keys)
        self.asked = 0

    def upto(self, key: Key) -> int:
        self.asked += 1
        return bisect_right(self.keys, key)

    def first(self, after: Key | None) -> Key | None:
        at = 0 if after is None else bisect_right(self.keys, after)
        found: Key | None = self.keys[at] if at < len(self.keys) else None
        return found


_random = random.Random(7)  # noqa: S311
KINDS: dict[str, Sequence[Any]] = {
    "counted": range(20_000),
    "from far below": [*range(-(10**15), -(10**15) + 500), *range(20_000)],
    "any numbers": [_random.randrange(SMALLEST, LARGEST) for _ in range(5000)],
    "the extremes": [SMALLEST, *range(1000), LARGEST],
    "uuids": [str(uuid.UUID(int=_random.getrandbits(128))) for _ in range(5000)],
    "long prefixes": [f"https://example.org/documents/{n:09}#{n % 7}" for n in range(20_000)],
    "mixed": ["", *(f'tenant "{n % 3}"\\doc\n{n}' for n in range(5000))],
    "far letters": [chr(0x4E00 + n) + str(m) for n in range(300) for m in range(10)],
    "beyond surrogates": [chr(c) + str(n) for c in (0xD7FF, 0xE000, 0x1F600) for n in range(500)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [2, 7])
def test_the_parts_are_about_even(kind: str, parts: int) -> None:
    listed = Listed(KINDS[kind])
    rows = len(listed.keys)
    found = split_keys(listed, rows, parts)
    assert len(found) == parts - 1
    assert found == sorted(set(found))  # type: ignore[type-var]
    ends = [0, *(listed.upto(key) for key in found), rows]
    assert all(0.5 < (high - low) * parts / rows < 1.5 for low, high in pairwise(ends))
    assert listed.asked < 80 * parts


@pytest.mark.parametrize("key", [5, "x", ""])
def test_a_key_with_most_of_the_rows_is_not_split(key: Key) -> None:
    others: list[Any] = list(range(100, 110)) if isinstance(key, int) else list("abc")
    listed = Listed([key] * 1000 + others)
    assert split_keys(listed, len(listed.keys), 4) == []
    assert listed.asked < 500


def test_nothing_is_split_where_nothing_is() -> None:
    assert split_keys(Listed([]), 0, 3) == []

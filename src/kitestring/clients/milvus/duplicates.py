"""Which keys are there more than once.

A query hides all rows of a key but one, so duplicates show only as a `count(*)` that is above the
number of keys. Counting ranges of keys, and halving those that hold too many rows, leads to them:
about log2(rows) counts for each key found, over the API and also for rows not yet flushed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kitestring.clients.milvus.filters import Key, among
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.ranges import WHOLE, KeyRange
from kitestring.model.snapshot import Tally


@dataclass(frozen=True, slots=True)
class Batch:
    """The last key of a batch as scanned, and the number of its keys."""

    last: Key
    keys: int


def locate(
    milvus: Milvus,
    name: str,
    field: str,
    batches: Sequence[Batch],
    *,
    counted: int,
    examples: int | None = 5,
    part: KeyRange = WHOLE,
) -> Tally | None:
    """The rows beyond the first of their key, with a few keys as examples.

    Args:
        field: the primary key.
        batches: of the whole scan of `part`, in order.
        counted: its `count(*)` at strong consistency, above the number of keys scanned.
        examples: how many keys to find; None for all of them.

    None where the surplus is not (only) duplicates: then the scan did not see every key.
    """
    search = _Search(milvus, name, field, counted, examples, part)
    bounds = [batch.last for batch in batches]
    sums = [0]
    for batch in batches:
        sums.append(sums[-1] + batch.keys)
    if not batches:
        return None
    if search.count(part.after, bounds[-1]) == counted and search.batches(
        bounds, sums, 0, len(batches), counted
    ):
        return Tally(counted - sums[-1], tuple(search.found))
    return None


class _Search:
    def __init__(
        self,
        milvus: Milvus,
        name: str,
        field: str,
        counted: int,
        examples: int | None,
        part: KeyRange,
    ) -> None:
        self.found: list[str] = []
        self._examples = examples
        self._milvus, self._name, self._field, self._part = milvus, name, field, part
        # what a strong query has just seen, weaker ones see too, unless replicas lag behind
        self._strong = part.count(milvus, name, field, strong=False) != counted

    @property
    def _enough(self) -> bool:
        return self._examples is not None and len(self.found) >= self._examples

    def count(self, after: Key | None, upto: Key) -> int:
        within = self._part.between(after, upto)
        return within.count(self._milvus, self._name, self._field, strong=self._strong)

    def batches(
        self, bounds: Sequence[Key], sums: Sequence[int], start: int, end: int, rows: int
    ) -> bool:
        """Searches the batches `start` to `end`, which hold `rows`; whether duplicates explain
        every surplus that was looked at."""
        keys = sums[end] - sums[start]
        if rows <= keys or self._enough:
            return rows >= keys
        after = bounds[start - 1] if start else self._part.after
        if end - start == 1:
            within = self._part.between(after, bounds[start])
            read: list[Key] = []
            for batch in within.scan(self._milvus, self._name, self._field, [self._field]):
                read += batch.column(0).to_pylist()
            return len(read) == keys and self._keys(read, after, rows)
        middle = (start + end) // 2
        left = self.count(after, bounds[middle - 1])
        return self.batches(bounds, sums, start, middle, left) and self.batches(
            bounds, sums, middle, end, rows - left
        )

    def _keys(self, keys: Sequence[Key], after: Key | None, rows: int) -> bool:
        if rows <= len(keys) or self._enough:
            return rows >= len(keys)
        if len(keys) == 1:
            return self._one(keys[0], rows)
        middle = len(keys) // 2
        left = self.count(after, keys[middle - 1])
        return self._keys(keys[:middle], after, left) and self._keys(
            keys[middle:], keys[middle - 1], rows - left
        )

    def _one(self, key: Key, rows: int) -> bool:
        """Whether all rows of the range are of the key itself."""
        only = among(self._field, [key])
        there = self._milvus.count(
            self._name, filter=only, partitions=self._part.partitions, strong=self._strong
        )
        if there != rows:
            return False
        self.found.append(str(key))
        return True

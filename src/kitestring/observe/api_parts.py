"""The parts of a collection that are read over the API side by side."""

from __future__ import annotations

from itertools import pairwise

from kitestring.clients.milvus.filters import Key
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.milvus.ranges import WHOLE, KeyRange
from kitestring.model.collection import CollectionInfo
from kitestring.observe.key_splits import split_keys

STREAMS = 2  # parts that are read at a time: the query nodes have searches to answer
PART_ROWS = 100_000  # a part takes half a second to read, and its counts up to as long
_MOST_PARTS = 16
_FEW_PARTITIONS = 64  # more are not counted one by one


def api_parts(
    milvus: Milvus, info: CollectionInfo, rows: int, *, part_rows: int = PART_ROWS
) -> list[KeyRange]:
    """Parts that together hold every key that there can be, once; one for a small collection.

    Small partitions are read together, large ones are split by their keys. With a partition key,
    queries can't name partitions, and all keys are split. The counts behind the splits wait for
    nothing: what they miss makes parts less even.

    Args:
        rows: of the whole collection.

    Raises:
        MilvusError.
    """
    if rows < 2 * part_rows:
        return [WHOLE]
    size = max(part_rows, -(-rows // _MOST_PARTS))
    names = [partition.name for partition in info.partitions]
    by_key = any(field.partition_key for field in info.schema.fields)
    if by_key or not 1 < len(names) <= _FEW_PARTITIONS:
        return _split(_Counts(milvus, info, WHOLE), rows, size)
    parts: list[KeyRange] = []
    together: list[str] = []
    held = 0
    for name in names:
        counts = _Counts(milvus, info, KeyRange(partitions=(name,)))
        there = counts.all()
        if there >= 2 * size:
            parts += _split(counts, there, size)
            continue
        if together and held + there > size:
            parts.append(KeyRange(partitions=tuple(together)))
            together, held = [], 0
        together.append(name)
        held += there
    if together:
        parts.append(KeyRange(partitions=tuple(together)))
    return parts


def _split(counts: _Counts, rows: int, size: int) -> list[KeyRange]:
    keys = split_keys(counts, rows, max(STREAMS, rows // size))
    return [counts.part.between(*ends) for ends in pairwise([None, *keys, None])]


class _Counts:
    """What a split asks, without waiting for what is being written."""

    def __init__(self, milvus: Milvus, info: CollectionInfo, part: KeyRange) -> None:
        self.part = part
        self._milvus, self._name, self._key = milvus, info.name, info.schema.primary.name

    def all(self) -> int:
        return self.part.count(self._milvus, self._name, self._key, strong=False)

    def upto(self, key: Key) -> int:
        within = self.part.between(None, key)
        return within.count(self._milvus, self._name, self._key, strong=False)

    def first(self, after: Key | None) -> Key | None:
        above = self.part.between(after, None)
        batches = above.scan(
            self._milvus, self._name, self._key, [self._key], batch_rows=1, strong=False
        )
        batch = next(batches, None)
        return None if batch is None or not batch.num_rows else batch.column(0)[0].as_py()

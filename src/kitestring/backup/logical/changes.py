"""Which rows of the backup before are there still, and which are new.

A row is the same when its key and its print are: by its `stamp`, the timestamp that Milvus gave
it when it was written, which is exact; or by its `mark`, a hash of what the row contract says of
it (content hash, embedding model, time of embedding), which does not see a change of any other
field. Rows are told apart by hashes of 128 bits of their keys and 64 bits of their prints.

Rows with one key and print that are there twice are counted, so that twice stays twice.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from kitestring.backup.logical.index import Prints
from kitestring.model.digest import Hashes

Mask = npt.NDArray[np.bool_]
SLICE = 2_000_000  # rows that are compared at a time

_ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("print", "<u8"), ("at", "<u8"), ("new", "u1")])


@dataclass(frozen=True, slots=True)
class Changes:
    """A mask for each unit that was given, in their order."""

    kept: tuple[Mask, ...]  # of the backup before: rows that are there still
    fresh: tuple[Mask, ...]  # of what is there now: rows that the backup before does not have


class Comparison:
    """Takes the rows of before and of now, in any order, and compares them. One byte of memory
    for each row is needed, and 200 MB; what is more goes to a temporary file.

    Args:
        rows: how many there may be of before, about.
    """

    def __init__(self, rows: int) -> None:
        self._spools = [_Spool(rows > SLICE) for _ in range(1 + rows // SLICE)]
        self._sizes: dict[int, list[int]] = {0: [], 1: []}

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        for spool in self._spools:
            spool.close()

    def before(self, unit: int, partition: str, keys: Hashes, prints: Prints) -> None:
        """More rows of a unit (a Parquet file) of the backup before; units begin at 0."""
        self._add(0, unit, partition, keys, prints)

    def now(self, unit: int, partition: str, keys: Hashes, prints: Prints) -> None:
        """More rows of a unit of what is there now."""
        self._add(1, unit, partition, keys, prints)

    def _add(self, side: int, unit: int, partition: str, keys: Hashes, prints: Prints) -> None:
        sizes = self._sizes[side]
        while len(sizes) <= unit:
            sizes.append(0)
        words = np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)
        entries = np.empty(len(words), _ENTRY)
        entries["high"], entries["low"] = words[:, 0], words[:, 1]
        # a row that has moved to another partition is another row
        salt = np.frombuffer(hashlib.blake2b(partition.encode(), digest_size=8).digest(), "<u8")
        entries["print"] = np.ascontiguousarray(prints).view("<u8").reshape(-1) ^ salt
        first = (unit << 40) + sizes[unit]
        entries["at"] = np.arange(first, first + len(words), dtype=np.uint64)
        entries["new"] = side
        sizes[unit] += len(words)
        if len(self._spools) == 1:
            self._spools[0].add(entries)
            return
        slices = entries["low"] % len(self._spools)
        for number, spool in enumerate(self._spools):
            spool.add(entries[slices == number])

    def result(self, before_units: int, now_units: int) -> Changes:
        """What is the same and what is not, for as many units as there were."""
        kept = [np.zeros(n, bool) for n in _padded(self._sizes[0], before_units)]
        fresh = [np.ones(n, bool) for n in _padded(self._sizes[1], now_units)]
        for spool in self._spools:
            entries = spool.all()
            matched = _matched(entries)
            new = entries["new"][matched] == 1
            _scatter(kept, entries["at"][matched][~new], True)
            _scatter(fresh, entries["at"][matched][new], False)
        return Changes(tuple(kept), tuple(fresh))


def _matched(entries: npt.NDArray[np.void]) -> npt.NDArray[np.intp]:
    """Positions of the entries that have a partner on the other side."""
    if not len(entries):
        return np.empty(0, np.intp)
    order = np.lexsort((entries["new"], entries["print"], entries["low"], entries["high"]))
    ordered = entries[order]
    begins = np.ones(len(ordered), bool)
    same = np.ones(len(ordered) - 1, bool)
    for name in ("high", "low", "print"):
        same &= ordered[name][1:] == ordered[name][:-1]
    begins[1:] = ~same
    group = np.cumsum(begins) - 1
    new = ordered["new"] == 1
    olds = np.bincount(group, ~new).astype(np.int64)
    news = np.bincount(group, new).astype(np.int64)
    place = np.arange(len(ordered)) - np.flatnonzero(begins)[group]
    place[new] -= olds[group[new]]  # old ones stand first in each group
    found: npt.NDArray[np.intp] = order[place < np.minimum(olds, news)[group]]
    return found


def _scatter(masks: Sequence[Mask], at: npt.NDArray[np.uint64], value: bool) -> None:
    at = np.sort(at)
    units = at >> np.uint64(40)
    rows = (at & np.uint64((1 << 40) - 1)).astype(np.int64)
    for unit in np.unique(units):
        low, high = np.searchsorted(units, [unit, unit + np.uint64(1)])
        masks[int(unit)][rows[low:high]] = value


def _padded(sizes: Iterable[int], units: int) -> Iterator[int]:
    known = list(sizes)
    yield from known + [0] * (units - len(known))


class _Spool:
    """Entries in memory, or in a file that has no name."""

    def __init__(self, on_disk: bool) -> None:
        self._file: IO[bytes] | None = tempfile.TemporaryFile() if on_disk else None  # noqa: SIM115
        self._held: list[npt.NDArray[np.void]] = []

    def add(self, entries: npt.NDArray[np.void]) -> None:
        if self._file is not None:
            self._file.write(entries.tobytes())
        elif len(entries):
            self._held.append(entries)

    def all(self) -> npt.NDArray[np.void]:
        if self._file is not None:
            self._file.seek(0)
            return np.frombuffer(self._file.read(), _ENTRY)
        return np.concatenate(self._held) if self._held else np.empty(0, _ENTRY)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

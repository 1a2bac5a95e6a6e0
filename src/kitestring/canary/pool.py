"""Candidates of a sample: the rows of least hash of each stratum.

A stratum is a tenant, a day, a segment and a label. Its rows are ranked by hash, and rank over size
orders the rows of all strata: each beginning of that order has the same part of every stratum, so
that a second sample continues the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.model.digest import key_hashes
from kitestring.spec.models import FieldMap

_STRATA = 1024  # small ones share a number: that costs precision and no correctness
_DAY = 86_400_000  # ms
_POOL = 200_000  # candidates that are kept before they are thinned out
_ODD = np.uint64(0x9E3779B97F4A7C15)
UNKNOWN = -1  # segment of rows that were read over the API

Numbers = npt.NDArray[np.uint64]
Key = str | int


@dataclass(slots=True)
class Pool:
    """The `cap` rows of least hash of each stratum, and how many rows each has."""

    cap: int
    sizes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_STRATA, np.int64))
    _limits: Numbers = field(
        default_factory=lambda: np.full(_STRATA, np.iinfo(np.uint64).max, np.uint64)
    )
    _hashes: Numbers = field(default_factory=lambda: np.empty(0, np.uint64))
    _strata: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _segments: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _keys: list[Key] = field(default_factory=list)

    def add(
        self,
        keys: pa.Array,
        hashes: Numbers,
        strata: npt.NDArray[np.int64],
        segment: int = UNKNOWN,
    ) -> None:
        self.sizes += np.bincount(strata, minlength=_STRATA)
        kept = np.flatnonzero(hashes <= self._limits[strata])
        segments = np.full(len(kept), segment, np.int64)
        self._keep(hashes[kept], strata[kept], segments, keys.take(pa.array(kept)).to_pylist())

    def take(self, other: Pool) -> None:
        """Takes the candidates of other rows."""
        self.sizes += other.sizes
        self._keep(other._hashes, other._strata, other._segments, other._keys)

    def _keep(
        self,
        hashes: Numbers,
        strata: npt.NDArray[np.int64],
        segments: npt.NDArray[np.int64],
        keys: list[Key],
    ) -> None:
        self._hashes = np.concatenate([self._hashes, hashes])
        self._strata = np.concatenate([self._strata, strata])
        self._segments = np.concatenate([self._segments, segments])
        self._keys += keys
        if len(self._keys) > max(_POOL, 4 * self.cap):
            self._thin()

    def ordered(self, salt: np.uint64) -> dict[Key, int]:
        """The keys by rank over size, each with its segment; each stratum begins at a place of its
        own within a step."""
        ranks = self._thin()
        start = mixed(np.arange(_STRATA, dtype=np.uint64) ^ salt) / 2.0**64
        scores = (ranks + start[self._strata]) / self.sizes[self._strata]
        order = np.lexsort((self._hashes, scores))
        found: dict[Key, int] = {}
        for i in map(int, order):
            found.setdefault(self._keys[i], int(self._segments[i]))  # duplicate keys once
        return found

    def _thin(self) -> npt.NDArray[np.int64]:
        """Drops what is beyond `cap` of a stratum; the rank of each row that is left."""
        order = np.lexsort((self._hashes, self._strata))
        strata = self._strata[order]
        first = np.searchsorted(strata, strata, side="left")
        ranks = np.arange(len(order)) - first
        kept = ranks < self.cap
        last = ranks == self.cap - 1
        self._limits[strata[last]] = self._hashes[order[last]]
        chosen = order[kept]
        self._hashes, self._strata = self._hashes[chosen], self._strata[chosen]
        self._segments = self._segments[chosen]
        self._keys = [self._keys[int(i)] for i in chosen]
        found: npt.NDArray[np.int64] = ranks[kept]
        return found


def strata_of(
    batch: pa.RecordBatch, names: FieldMap, segment: int = UNKNOWN
) -> npt.NDArray[np.int64]:
    """The number of each row's stratum."""
    parts: list[Any] = []
    if segment != UNKNOWN:
        parts.append(pa.repeat(pa.scalar(str(segment)), batch.num_rows))
    for name, day in ((names.tenant_id, False), (names.last_embedded_at, True)):
        if name in batch.schema.names:
            column = batch.column(name)
            if day and pa.types.is_integer(column.type):
                column = pc.divide(column, _DAY)
            parts.append(column.cast(pa.string()).fill_null(""))
    if not parts:
        return np.zeros(batch.num_rows, np.int64)
    texts = pc.binary_join_element_wise(*parts, "\x1f").dictionary_encode()
    hashes = first_halves(key_hashes(texts.dictionary)) % np.uint64(_STRATA)
    numbers = hashes.astype(np.int64)[texts.indices.to_numpy(zero_copy_only=False)]
    found: npt.NDArray[np.int64] = numbers
    return found


def first_halves(hashes: npt.NDArray[np.uint8]) -> Numbers:
    """The first eight bytes of each hash, as a number."""
    return np.ascontiguousarray(hashes[:, :8]).view(np.uint64)[:, 0]


def mixed(values: Numbers) -> Numbers:
    """SplitMix64's finalizer (Steele et al., OOPSLA 2014): every bit hangs on every other."""
    with np.errstate(over="ignore"):
        z = values + _ODD
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

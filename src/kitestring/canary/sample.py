"""Which rows are embedded again: by a hash of the key, the same part of every stratum.

One pass over keys and three short columns. A stratum is a tenant, a day and a label. Its rows are
ranked by hash, and rank over size orders the rows of all strata: each beginning of that order has
the same part of every stratum, so that a second sample continues the first.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.collection import CollectionInfo
from kitestring.model.digest import key_hashes
from kitestring.spec.models import FieldMap

_STRATA = 1024  # small ones share a number: that costs precision and no correctness
_DAY = 86_400_000  # ms
_POOL = 200_000  # candidates that are kept before they are thinned out
_ODD = np.uint64(0x9E3779B97F4A7C15)

Numbers = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Keys in the order in which to take them."""

    keys: tuple[str | int, ...]
    population: int  # rows to choose from
    rows: int  # all that were read
    labels: dict[str, int]  # model label -> rows; empty where rows carry none


def choose(
    milvus: Milvus,
    info: CollectionInfo,
    names: FieldMap,
    label: str,
    count: int,
    seed: str,
    *,
    batch_rows: int = 8192,
) -> Chosen:
    """Up to `count` rows among those that carry `label`, or among all where rows carry none.

    Args:
        seed: the same seed chooses the same rows of the same collection.

    Raises:
        CollectionNotLoaded, MilvusError: the rows can't be read.
    """
    columns = [
        name
        for name in (
            info.schema.primary.name,
            names.tenant_id,
            names.last_embedded_at,
            names.embedding_model,
        )
        if name is not None and info.schema.field(name)
    ]
    batches = milvus.scan(info.name, list(dict.fromkeys(columns)), batch_rows=batch_rows)
    return choose_from(batches, info.schema.primary.name, names, label, count, seed)


def choose_from(
    batches: Iterable[pa.RecordBatch],
    key: str,
    names: FieldMap,
    label: str,
    count: int,
    seed: str,
) -> Chosen:
    """As `choose`, of rows that come as batches of short columns."""
    salt = np.uint64(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    pool, labels, rows = _Pool(count), Counter[str](), 0
    for batch in batches:
        rows += batch.num_rows
        if names.embedding_model in batch.schema.names:
            said = batch.column(names.embedding_model).fill_null("")
            labels.update({e["values"]: e["counts"] for e in said.value_counts().to_pylist()})
            batch = batch.filter(pc.equal(said, label))
        if batch.num_rows:
            keys = batch.column(key)
            pool.add(keys, _mixed(_first(key_hashes(keys)) ^ salt), _strata(batch, names))
    return Chosen(tuple(pool.ordered(salt)[:count]), int(pool.sizes.sum()), rows, dict(labels))


@dataclass(slots=True)
class _Pool:
    """The `cap` rows of least hash of each stratum, and how many rows each has."""

    cap: int
    sizes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(_STRATA, np.int64))
    _limits: Numbers = field(
        default_factory=lambda: np.full(_STRATA, np.iinfo(np.uint64).max, np.uint64)
    )
    _hashes: Numbers = field(default_factory=lambda: np.empty(0, np.uint64))
    _strata: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _keys: list[str | int] = field(default_factory=list)

    def add(self, keys: pa.Array, hashes: Numbers, strata: npt.NDArray[np.int64]) -> None:
        self.sizes += np.bincount(strata, minlength=_STRATA)
        kept = np.flatnonzero(hashes <= self._limits[strata])
        self._hashes = np.concatenate([self._hashes, hashes[kept]])
        self._strata = np.concatenate([self._strata, strata[kept]])
        self._keys += keys.take(pa.array(kept)).to_pylist()
        if len(self._keys) > max(_POOL, 4 * self.cap):
            self._thin()

    def ordered(self, salt: np.uint64) -> list[str | int]:
        """The keys by rank over size; each stratum begins at a place of its own within a step."""
        ranks = self._thin()
        start = _mixed(np.arange(_STRATA, dtype=np.uint64) ^ salt) / 2.0**64
        scores = (ranks + start[self._strata]) / self.sizes[self._strata]
        order = np.lexsort((self._hashes, scores))
        return list(dict.fromkeys(self._keys[int(i)] for i in order))  # duplicate keys once

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
        self._keys = [self._keys[int(i)] for i in chosen]
        found: npt.NDArray[np.int64] = ranks[kept]
        return found


def _strata(batch: pa.RecordBatch, names: FieldMap) -> npt.NDArray[np.int64]:
    """The number of each row's stratum."""
    parts: list[Any] = []
    for name, day in ((names.tenant_id, False), (names.last_embedded_at, True)):
        if name in batch.schema.names:
            column = batch.column(name)
            if day and pa.types.is_integer(column.type):
                column = pc.divide(column, _DAY)
            parts.append(column.cast(pa.string()).fill_null(""))
    if not parts:
        return np.zeros(batch.num_rows, np.int64)
    texts = pc.binary_join_element_wise(*parts, "\x1f").dictionary_encode()
    hashes = _first(key_hashes(texts.dictionary)) % np.uint64(_STRATA)
    numbers = hashes.astype(np.int64)[texts.indices.to_numpy(zero_copy_only=False)]
    found: npt.NDArray[np.int64] = numbers
    return found


def _first(hashes: npt.NDArray[np.uint8]) -> Numbers:
    """The first eight bytes of each hash, as a number."""
    return np.ascontiguousarray(hashes[:, :8]).view(np.uint64)[:, 0]


def _mixed(values: Numbers) -> Numbers:
    """SplitMix64's finalizer (Steele et al., OOPSLA 2014): every bit hangs on every other."""
    with np.errstate(over="ignore"):
        z = values + _ODD
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def slices(keys: Sequence[str | int], size: int) -> Iterator[Sequence[str | int]]:
    """The keys in groups of at most `size`."""
    for start in range(0, len(keys), size):
        yield keys[start : start + size]

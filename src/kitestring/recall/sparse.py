"""Sparse vectors as three arrays, and their inner products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ENTRY = np.dtype([("index", "<u4"), ("value", "<f4")])


@dataclass(frozen=True, slots=True)
class Sparse:
    """Rows of indices and values; those of row i stand from `starts[i]` to `starts[i + 1]`."""

    starts: npt.NDArray[np.int64]
    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float64]

    @classmethod
    def parsed(cls, rows: Iterable[bytes]) -> Sparse:
        """From Milvus's own bytes: pairs of a uint32 index and a float32 value, little-endian."""
        texts = list(rows)
        entries = np.frombuffer(b"".join(texts), _ENTRY)
        sizes = np.array([len(text) // _ENTRY.itemsize for text in texts], np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(starts, entries["index"].copy(), entries["value"].astype(np.float64))

    @classmethod
    def joined(cls, parts: Sequence[Sparse]) -> Sparse:
        """The rows of all parts, in their order."""
        sizes = np.concatenate([np.diff(p.starts) for p in parts])
        return cls(
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([p.indices for p in parts]),
            np.concatenate([p.values for p in parts]),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, rows: slice) -> Sparse:
        first, stop, _ = rows.indices(len(self))
        begin, end = self.starts[first], self.starts[max(first, stop)]
        return Sparse(
            self.starts[first : max(first, stop) + 1] - begin,
            self.indices[begin:end],
            self.values[begin:end],
        )

    def as_mappings(self) -> list[Mapping[int, float]]:
        """Each row as index -> value."""
        found: list[Mapping[int, float]] = []
        for begin, end in zip(self.starts[:-1], self.starts[1:], strict=True):
            pairs = zip(self.indices[begin:end], self.values[begin:end], strict=True)
            found.append({int(index): float(value) for index, value in pairs})
        return found

    def lengths(self) -> npt.NDArray[np.float64]:
        """The Euclidean length of each row."""
        squares = np.bincount(self._rows(), weights=self.values**2, minlength=len(self))
        found: npt.NDArray[np.float64] = np.sqrt(squares)
        return found

    def products(self, others: Sparse) -> npt.NDArray[np.float64]:
        """Inner products with the rows of others, shape (rows, others)."""
        known, places = np.unique(self.indices, return_inverse=True)
        at = np.searchsorted(known, others.indices)
        shared = at < len(known)
        shared[shared] = known[at[shared]] == others.indices[shared]
        at, values, columns = at[shared], others.values[shared], others._rows()[shared]
        found = np.empty((len(self), len(others)))
        for row, (begin, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            weights = np.zeros(len(known))
            np.add.at(weights, places[begin:end], self.values[begin:end])
            found[row] = np.bincount(columns, weights=weights[at] * values, minlength=len(others))
        return found

    def _rows(self) -> npt.NDArray[np.int64]:
        """Of each entry its row."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

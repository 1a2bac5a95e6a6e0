"""Vectors that no search can find, or that are not of the model's length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kitestring.canary.arrays import Vectors as Array
from kitestring.model.canary import Vectors
from kitestring.model.collection import Field
from kitestring.model.tally import Tally

EXAMPLES = 5
# how far a norm may be from 1: 32 bits lose some 1e-6, 16 bits up to 2^-8 a number
_SLACK = {"FLOAT_VECTOR": 1e-3, "FLOAT16_VECTOR": 5e-3, "BFLOAT16_VECTOR": 2e-2}


class VectorCensus:
    """Counts faults of vectors that come in batches.

    Args:
        unit: the model's vectors are scaled to length 1.
    """

    def __init__(self, field: Field, *, unit: bool) -> None:
        self._unit, self._slack = unit, _SLACK[field.type]
        self._dimension = field.dim or 0
        self.rows = 0
        self._found: dict[str, tuple[int, list[str]]] = {
            name: (0, []) for name in ("not_finite", "zero", "other_length")
        }

    def add(self, keys: Sequence[Any], vectors: Array) -> None:
        """One batch; vectors of shape (rows, dimension)."""
        self.rows += len(keys)
        # a fifth of the time that np.linalg.norm takes, and no copy
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        finite = np.isfinite(norms)
        self._count("not_finite", keys, ~finite)
        self._count("zero", keys, norms == 0)
        if self._unit:
            self._count(
                "other_length", keys, finite & (norms > 0) & (np.abs(norms - 1) > self._slack)
            )

    def take(self, other: VectorCensus) -> None:
        """Takes what another one has counted, of other rows."""
        self.rows += other.rows
        for name, (more, keys) in other._found.items():
            count, examples = self._found[name]
            self._found[name] = (count + more, [*examples, *keys][:EXAMPLES])

    def result(
        self, path: str, counted: int, *, complete: bool = True, reason: str = ""
    ) -> Vectors:
        found = {name: Tally(n, tuple(keys)) for name, (n, keys) in self._found.items()}
        return Vectors(
            path=path,
            rows=self.rows,
            counted=counted,
            dimension=self._dimension,
            complete=complete,
            reason=reason,
            not_finite=found["not_finite"],
            zero=found["zero"],
            other_length=found["other_length"],
        )

    def _count(self, name: str, keys: Sequence[Any], bad: npt.NDArray[np.bool_]) -> None:
        if not bad.any():
            return
        count, examples = self._found[name]
        places = np.flatnonzero(bad)
        examples += [str(keys[int(i)]) for i in places[: EXAMPLES - len(examples)]]
        self._found[name] = (count + len(places), examples)

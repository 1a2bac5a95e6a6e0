"""How many rows carry which label."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from kitestring.model.tally import EXAMPLES

_LABELS = 1000  # different labels that are told apart; a sane collection has one or two
OTHER = "(other labels)"


class LabelCounter:
    """Counts the values of one text column, with a few keys for each value."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, labels: pa.Array, keys: pa.Array) -> None:
        """Takes one batch; a null counts as the empty label."""
        values, counts = labels.value_counts().flatten()
        for value, count in zip(values, counts.to_pylist(), strict=True):
            label = self._known(value.as_py())
            self._rows[label] += count
            examples = self._examples.setdefault(label, [])
            if len(examples) < EXAMPLES:
                # Arrow's own scalars and numbers: others it looks at with pandas, a slow import
                same = pc.equal(labels, value) if value.is_valid else labels.is_null()
                found = pc.indices_nonzero(same.fill_null(False))
                some = keys.take(found[: EXAMPLES - len(examples)])
                examples += map(str, some.to_pylist())

    def take(self, other: LabelCounter) -> None:
        """Takes what another one has counted, of other rows."""
        for value, count in other._rows.items():
            label = self._known(value)
            self._rows[label] += count
            examples = self._examples.setdefault(label, [])
            examples += other._examples[value][: EXAMPLES - len(examples)]

    def rows(self) -> dict[str, int]:
        return dict(self._rows)

    def examples(self) -> dict[str, tuple[str, ...]]:
        return {label: tuple(keys) for label, keys in self._examples.items()}

    def _known(self, value: str | None) -> str:
        label = value or ""
        return label if label in self._rows or len(self._rows) < _LABELS else OTHER

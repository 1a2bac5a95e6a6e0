"""How many rows carry which label."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from kitestring.observe.reconcile import EXAMPLES

_LABELS = 1000  # different labels that are told apart; a sane collection has one or two
OTHER = "(other labels)"


class LabelCounter:
    """Counts the values of one text column, with a few keys for each value."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, labels: pa.Array, keys: list[str]) -> None:
        """Takes one batch; a null counts as the empty label."""
        for entry in labels.value_counts().to_pylist():
            label = self._known(entry["values"])
            self._rows[label] += entry["counts"]
            examples = self._examples.setdefault(label, [])
            if len(examples) < EXAMPLES:
                self._find(entry["values"], labels, keys, examples)

    def rows(self) -> dict[str, int]:
        return dict(self._rows)

    def examples(self) -> dict[str, tuple[str, ...]]:
        return {label: tuple(keys) for label, keys in self._examples.items()}

    def _known(self, value: str | None) -> str:
        label = value or ""
        return label if label in self._rows or len(self._rows) < _LABELS else OTHER

    @staticmethod
    def _find(value: str | None, labels: pa.Array, keys: list[str], examples: list[str]) -> None:
        for position, label in enumerate(labels):
            if label.as_py() == value:
                examples.append(keys[position])
                if len(examples) == EXAMPLES:
                    return

"""A number of rows with a few of their keys."""

from __future__ import annotations

from dataclasses import dataclass, field

EXAMPLES = 5  # keys kept of each kind


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows, and a few of their keys."""

    count: int = 0
    examples: tuple[str, ...] = ()


NOTHING = Tally()


@dataclass(slots=True)
class Counter:
    """A tally that grows."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(key)

    def tally(self) -> Tally:
        return Tally(self.count, tuple(self.examples))

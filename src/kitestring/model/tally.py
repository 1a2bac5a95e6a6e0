"""A number of rows with a few of their keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows, and a few of their keys."""

    count: int = 0
    examples: tuple[str, ...] = ()


NOTHING = Tally()

"""Scales of charts: numbers to places, and the ticks below them. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

COLOURS = 6  # classes s1 … s6 of the pages
_TICKS = 4
SECONDS = (1.0, 60.0, 3600.0, 86400.0)
BYTES = (1.0, 1024.0, 1024.0**2, 1024.0**3, 1024.0**4)


@dataclass(frozen=True, slots=True)
class Scale:
    """From `start` to `stop`; ticks are (place in percent, words)."""

    start: float
    stop: float
    ticks: tuple[tuple[float, str], ...]

    def percent(self, value: float) -> float:
        """The place of a value, 0 to 100."""
        if self.stop <= self.start:
            return 0.0
        return min(100.0, max(0.0, 100 * (value - self.start) / (self.stop - self.start)))


def scale(
    highest: float,
    words: Callable[[float], str],
    *,
    start: float = 0.0,
    units: Sequence[float] = (1.0,),
) -> Scale:
    """A scale up to a value, with ticks that are round in the largest of `units` that fits."""
    stop = highest if highest > start else start + 1
    rough = (stop - start) / _TICKS
    unit = max((u for u in units if u <= stop), default=units[0])
    step = unit * _step(rough / unit)
    places = [start + step * i for i in range(_TICKS + 1) if start + step * i <= stop * 1.0001]
    bare = Scale(start, stop, ())
    return Scale(start, stop, tuple((bare.percent(p), words(p)) for p in places))


def _step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough` by much."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= rough * 0.999)


def colour(number: int) -> str:
    """The class of the n-th colour."""
    return f"s{number % COLOURS + 1}"

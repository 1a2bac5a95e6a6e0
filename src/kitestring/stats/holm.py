"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted so that one below alpha is false with at most that chance among them all.

    In the order given (Holm, A simple sequentially rejective multiple test procedure, Scand. J.
    Stat. 6, 1979). The tests may depend on each other.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, position in enumerate(order):
        least = max(least, min(1.0, p_values[position] * (len(order) - rank)))
        adjusted[position] = least
    return tuple(adjusted)

"""How many rows it takes to see a contamination, and how sure a rate is that was counted."""

from __future__ import annotations

from math import ceil, comb, log, sqrt


def power(n: int, rate: float, k: int) -> float:
    """The chance that a random sample of `n` rows holds `k` bad ones or more.

    Args:
        rate: the part of all rows that is bad, 0 to 1. Rows are taken to be many more than `n`:
            of fewer rows the chance is greater.
    """
    return max(0.0, 1.0 - sum(comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k)))


def rows_for(rate: float, wanted: float, k: int = 1) -> int:
    """The least sample that holds `k` bad rows or more with a chance of `wanted`.

    For k = 1 it is ln(1 - wanted) / ln(1 - rate), rounded up.

    Raises:
        ValueError: `rate` or `wanted` is not between 0 and 1.
    """
    if not (0 < rate < 1 and 0 < wanted < 1):
        raise ValueError("a rate and a chance lie between 0 and 1")
    if k == 1:
        return ceil(log(1 - wanted) / log(1 - rate))
    low, high = k - 1, k
    while power(high, rate, k) < wanted:
        low, high = high, 2 * high
    while high - low > 1:  # `low` is too few, `high` is enough
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, rate, k) >= wanted else (middle, high)
    return high


def seen_with(n: int, k: int, wanted: float = 0.99) -> float | None:
    """The least rate of bad rows that `n` rows show with a chance of `wanted`; None for none.

    To a thousandth part.
    """
    return next((r / 1000 for r in range(1, 1000) if power(n, r / 1000, k) >= wanted), None)


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a rate that was counted; `z` = 1.96 for 95% (Wilson, JASA 22, 1927)."""
    if not trials:
        return 0.0, 1.0
    rate, square = hits / trials, z * z / trials
    middle = (rate + square / 2) / (1 + square)
    half = z * sqrt(rate * (1 - rate) / trials + square / trials / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)

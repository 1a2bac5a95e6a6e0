"""Whether a new sample has more extreme values than a reference sample, whatever they are spread
like.

The statistic is the number of exceedances: K of n new values that lie below the least of m
reference values. Where both samples are of one distribution, every order of the n + m values is
equally likely, and

    P(K >= k) = prod over i in 0..k-1 of (n - i) / (n + m - i)

since K >= k says that the k least of all are new ones (Gumbel and von Schelling, The distribution
of the number of exceedances, Ann. Math. Stat. 21, 1950; Rosenbaum, ibid. 25, 1954). Ties make K
smaller, never larger, if only values strictly below count.
"""

from __future__ import annotations

from math import prod

ALPHA = 0.0002
"""The false alarms that a verdict may cost: of n = 300 against m = 1,000 it asks for k = 6."""


def exceedance(n: int, m: int, k: int) -> float:
    """P(K >= k): the false alarm rate of a limit of `k`.

    Args:
        n: new values.
        m: reference values, at least 1.

    Raises:
        ValueError: a number is negative, or there is no reference.
    """
    if m < 1 or n < 0 or k < 0:
        raise ValueError("an exceedance needs a reference, and no negative numbers")
    return prod((n - i) / (n + m - i) for i in range(k)) if k <= n else 0.0


def limit(n: int, m: int, alpha: float = ALPHA) -> int | None:
    """The least k with P(K >= k) <= alpha; None where even K = n is more likely than that."""
    return next((k for k in range(1, n + 1) if exceedance(n, m, k) <= alpha), None)

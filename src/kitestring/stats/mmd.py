"""Whether two samples of vectors are of one distribution: maximum mean discrepancy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 999
_ROUNDING = 1e-12

Matrix = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class MmdTest:
    """`statistic` is the unbiased estimate of MMD squared, and may be below 0."""

    statistic: float
    p_value: float
    bandwidth: float  # of the kernel; the unit of the vectors


def mmd_test(
    left: Matrix, right: Matrix, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> MmdTest:
    """A permutation test of two samples, shapes (m, dimension) and (n, dimension).

    The unbiased statistic of Gretton et al., A kernel two-sample test, JMLR 13 (2012), Lemma 6,
    with the kernel exp(-d^2 / 2 s^2), s the median distance of the pooled sample (Garreau et al.,
    arXiv:1707.07269). The null comes from the pool, dealt out again at random: a null from one
    of the samples alone is no test of the size it claims. The p value is (1 + b) / (1 + B)
    (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010), so never 0.

    Args:
        seed: the same seed gives the same answer.

    Raises:
        ValueError: a sample has fewer than two vectors, or the dimensions differ.
    """
    if len(left) < 2 or len(right) < 2 or left.shape[1] != right.shape[1]:
        raise ValueError("two samples of one dimension, of two vectors or more, are needed")
    pool = np.concatenate([left, right]).astype(np.float64)
    squares = _distances(pool)
    above = squares[np.triu_indices(len(pool), 1)]
    median = float(np.median(above)) or float(above.mean())
    if not median:  # all vectors are one
        return MmdTest(0.0, 1.0, 0.0)
    kernel = np.exp(squares / (-2 * median))
    np.fill_diagonal(kernel, 0.0)
    drawn = np.zeros((permutations + 1, len(pool)), np.uint8)
    drawn[:, : len(left)] = 1
    drawn[1:] = np.random.default_rng(seed).permuted(drawn[1:], axis=1)
    values = _statistics(kernel, drawn.astype(np.float64), len(left), len(right))
    reached = int((values[1:] >= values[0] - _ROUNDING).sum())
    return MmdTest(float(values[0]), (1 + reached) / (1 + permutations), float(np.sqrt(median)))


def _distances(pool: Matrix) -> Matrix:
    """Squared distances of all pairs."""
    norms = np.einsum("ij,ij->i", pool, pool)
    found: Matrix = np.maximum(norms[:, None] + norms[None, :] - 2 * pool @ pool.T, 0.0)
    return found


def _statistics(kernel: Matrix, drawn: Matrix, m: int, n: int) -> Matrix:
    """The statistic of each row of `drawn`, which has 1 for the members of the first sample."""
    within = np.einsum("ij,ij->i", drawn @ kernel, drawn)
    from_first = drawn @ kernel.sum(axis=1)
    across = from_first - within
    other = kernel.sum() - 2 * from_first + within
    found: Matrix = within / (m * (m - 1)) + other / (n * (n - 1)) - 2 * across / (m * n)
    return found

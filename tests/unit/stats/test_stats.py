"""The tests and sample sizes against brute force, simulation and the published figures."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.stats.holm import holm
from kitestring.stats.mmd import mmd_test
from kitestring.stats.power import power, rows_for, seen_with, wilson
from kitestring.stats.rank import ALPHA, exceedance, limit


@settings(max_examples=40)
@given(st.integers(0, 5), st.integers(1, 5), st.integers(0, 6))
def test_exceedances_are_those_of_every_order(n, m, k):
    """All ways to place n new values among n + m ranks, counted."""
    orders = list(combinations(range(n + m), n))
    reached = 0
    for new in orders:
        least = min(rank for rank in range(n + m) if rank not in new)
        reached += sum(rank < least for rank in new) >= k
    assert exceedance(n, m, k) == pytest.approx(reached / len(orders), abs=1e-12)


@pytest.mark.parametrize(("k", "rate"), [(4, 0.0028), (6, 0.00015)])
def test_the_false_alarms_of_300_against_1000(k, rate):
    assert exceedance(300, 1000, k) == pytest.approx(rate, rel=0.05)


def test_the_limit_is_six_of_300_and_more_of_more():
    assert limit(300, 1000) == 6
    assert limit(600, 1000) == 9
    assert limit(3, 3) is None  # one order of twenty is no proof
    for n, m in ((300, 1000), (600, 1000), (50, 50)):
        k = limit(n, m)
        assert exceedance(n, m, k) <= ALPHA < exceedance(n, m, k - 1)


def test_simulated_false_alarms_are_as_computed():
    """Heavy tails and ties do no harm: only the order counts."""
    rng = np.random.default_rng(20)
    n, m, k, runs = 30, 60, 3, 4000
    values = rng.standard_cauchy((runs, n + m))
    below = (values[:, :n] < values[:, n:].min(axis=1, keepdims=True)).sum(axis=1)
    low, high = wilson(int((below >= k).sum()), runs, z=3.5)
    assert low <= exceedance(n, m, k) <= high
    tied = np.round(values)
    below = (tied[:, :n] < tied[:, n:].min(axis=1, keepdims=True)).sum(axis=1)
    assert (below >= k).mean() <= high


@pytest.mark.parametrize("bad", [(1, 0, 1), (-1, 5, 1), (1, 5, -1)])
def test_a_reference_is_needed(bad):
    with pytest.raises(ValueError, match="reference"):
        exceedance(*bad)


def test_power_is_that_of_the_notes():
    assert power(300, 0.05, 6) > 0.99
    assert power(300, 0.02, 6) == pytest.approx(0.55, abs=0.01)
    assert rows_for(0.01, 0.99) == 459
    assert power(300, 0.0, 1) == 0
    assert power(300, 1.0, 6) == 1


@settings(max_examples=30)
@given(st.floats(0.01, 0.5), st.floats(0.5, 0.99), st.integers(1, 8))
def test_the_sample_is_the_least_that_is_enough(rate, wanted, k):
    n = rows_for(rate, wanted, k)
    assert power(n, rate, k) >= wanted - 1e-9
    assert power(n - 1, rate, k) < wanted + 1e-9


def test_the_rate_that_a_sample_shows():
    rate = seen_with(300, 6)
    assert rate is not None
    assert power(300, rate, 6) >= 0.99 > power(300, rate - 0.001, 6)
    assert seen_with(5, 6) is None
    with pytest.raises(ValueError, match="between 0 and 1"):
        rows_for(0, 0.9)


def test_wilson_covers_as_it_says():
    rng = np.random.default_rng(3)
    hits = rng.binomial(60, 0.1, 2000)
    bounds = [wilson(int(h), 60) for h in hits]
    covered = np.mean([low <= 0.1 <= high for low, high in bounds])
    assert 0.93 < covered < 0.975
    assert wilson(0, 0) == (0.0, 1.0)


def test_holm_is_the_published_example_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(values):
    for p, adjusted in zip(values, holm(values), strict=True):
        assert p <= adjusted <= min(1.0, p * len(values)) + 1e-12
    assert min(holm(values)) == pytest.approx(min(1.0, min(values) * len(values)))


def plain_statistic(x, y, bandwidth):
    """MMD squared as it is written down, pair by pair."""

    def kernel(a, b):
        return np.exp(-np.sum((a - b) ** 2) / (2 * bandwidth**2))

    m, n = len(x), len(y)
    first = sum(kernel(x[i], x[j]) for i in range(m) for j in range(m) if i != j)
    second = sum(kernel(y[i], y[j]) for i in range(n) for j in range(n) if i != j)
    across = sum(kernel(a, b) for a in x for b in y)
    return first / (m * (m - 1)) + second / (n * (n - 1)) - 2 * across / (m * n)


def test_mmd_is_the_sum_over_all_pairs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 3)), rng.normal(1, 2, size=(9, 3))
    found = mmd_test(x, y, permutations=19)
    pool = np.concatenate([x, y])
    distances = [np.linalg.norm(a - b) for a, b in combinations(pool, 2)]
    assert found.bandwidth == pytest.approx(np.sqrt(np.median(np.square(distances))))
    assert found.statistic == pytest.approx(plain_statistic(x, y, found.bandwidth))
    assert found == mmd_test(x, y, permutations=19)


def test_mmd_fires_as_often_as_its_level_on_equal_samples_and_always_on_others():
    rng = np.random.default_rng(5)
    equal = [
        mmd_test(rng.normal(size=(30, 4)), rng.normal(size=(40, 4)), permutations=99).p_value
        for _ in range(300)
    ]
    low, high = wilson(sum(p <= 0.05 for p in equal), len(equal), z=3.5)
    assert low <= 0.05 <= high
    moved = mmd_test(rng.normal(size=(60, 4)), rng.normal(0.8, 1, size=(60, 4)))
    assert moved.p_value == 0.001


def test_mmd_of_equal_vectors_and_of_too_few():
    same = mmd_test(np.ones((4, 3)), np.ones((5, 3)))
    assert (same.statistic, same.p_value) == (0.0, 1.0)
    with pytest.raises(ValueError, match="two vectors or more"):
        mmd_test(np.ones((1, 3)), np.ones((5, 3)))
    with pytest.raises(ValueError, match="one dimension"):
        mmd_test(np.ones((3, 3)), np.ones((5, 4)))

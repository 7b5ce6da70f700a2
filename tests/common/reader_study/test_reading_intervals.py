"""Intervals, trend and agreement against published and hand-made values."""

import numpy as np
import pytest
from scipy.stats import norm

from common.reader_study.intervals import cohen, crossed_interval, fleiss, newcombe, trend, wilson


def test_wilson_is_that_of_the_formula():
    k, n, z = 13, 20, norm.ppf(0.975)
    centre, half = (k + z**2 / 2) / (n + z**2), z * np.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    assert wilson(k, n) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert wilson(20, 20)[0] == pytest.approx(20 / (20 + z**2))


def test_newcombe_has_the_published_values():
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10
    assert newcombe((48, 80), (56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe((3, 10), (9, 10)) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_trend_is_the_score_test_by_hand():
    # shares 0, 1/2, 1 at 0, 1, 2 of two trials each: T = 2, variance 1/2 * 1/2 * 4 = 1
    z, p = trend(np.array([0.0, 0, 0, 1, 1, 1]), np.array([0.0, 0, 1, 1, 2, 2]))
    assert z == pytest.approx(2)
    assert p == pytest.approx(0.0455, abs=1e-4)
    assert trend(np.ones(6), np.arange(6.0)) is None


def test_trend_is_found_at_the_nominal_rate_without_one():
    rng = np.random.default_rng(0)
    found = [trend(rng.integers(0, 2, 60).astype(float), np.arange(60.0)) for _ in range(2000)]
    assert np.mean([one is not None and one[1] < 0.05 for one in found]) == pytest.approx(0.05, abs=0.015)


def test_interval_of_one_reader_is_about_cases():
    rng = np.random.default_rng(0)
    values = (rng.random(400) < 0.7).astype(float)
    alone = np.zeros(400, int)
    low, high = crossed_interval(values, alone, np.arange(400))
    share = values.mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.01)
    # four equal answers about each case hold a quarter of the information
    low, high = crossed_interval(np.repeat(values[:100], 4), alone, np.repeat(np.arange(100), 4))
    assert high - low == pytest.approx(4 * half, rel=0.15)


def test_readers_who_answer_alike_are_not_independent():
    values = (np.random.default_rng(1).random(100) < 0.7).astype(float)
    one = crossed_interval(values, np.zeros(100, int), np.arange(100))
    four = crossed_interval(np.tile(values, 4), np.repeat(np.arange(4), 100), np.tile(np.arange(100), 4))
    assert four[1] - four[0] >= 0.95 * (one[1] - one[0])
    narrow = 2 * 1.96 * np.sqrt(0.7 * 0.3 / 400)
    assert four[1] - four[0] > 1.5 * narrow


def test_interval_over_readers_and_cases_covers():
    """Six readers of different skill on forty cases of different difficulty: the mean of all that could be drawn."""
    rng, covered = np.random.default_rng(2), 0
    readers, cases = np.repeat(np.arange(6), 40), np.tile(np.arange(40), 6)
    for _ in range(60):
        chance = np.clip(0.65 + rng.uniform(-0.1, 0.1, 6)[:, None] + rng.uniform(-0.2, 0.2, 40), 0, 1)
        low, high = crossed_interval((rng.random((6, 40)) < chance).astype(float).ravel(), readers, cases)
        covered += low <= 0.65 <= high
    assert covered >= 54


def test_interval_of_a_difference_and_without_one():
    values, late = np.array([0.0, 1, 0, 1, 1, 1, 1, 1]), np.arange(8) >= 4
    low, high = crossed_interval(values, np.zeros(8, int), np.arange(8), late)
    assert 0 <= low < 0.5 < high <= 1
    assert crossed_interval(np.ones(8), np.zeros(8, int), np.arange(8)) is None


def test_kappa_by_hand():
    # observed 3/4; the first says a twice, the second three times: expected 1/2 * 3/4 + 1/2 * 1/4 = 1/2
    assert cohen(["a", "a", "b", "b"], ["a", "a", "a", "b"]) == pytest.approx(0.5)
    assert cohen(["a", "a"], ["a", "a"]) is None


def test_fleiss_has_the_published_value():
    # the table of Fleiss 1971 as it is commonly given: 10 items, 14 readers, 5 choices, kappa 0.210
    counts = np.array([[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
                       [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0],
                       [0, 2, 2, 3, 7]])  # fmt: skip
    assert fleiss(counts) == pytest.approx(0.210, abs=5e-4)
    assert fleiss(np.array([[3, 0], [3, 0]])) is None

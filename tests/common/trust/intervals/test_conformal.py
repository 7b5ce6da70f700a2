"""Conformal quantiles by hand, and coverage of exchangeable and shifted cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.trust.intervals.conformal import (
    Interval,
    Sample,
    cases_needed,
    conformal_quantile,
    fitted,
    groups_of,
    half_widths,
)


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_cases_needed_for_a_finite_quantile(level, needed):
    assert cases_needed(level) == needed
    assert math.ceil(round((needed + 1) * level, 9)) <= needed
    assert needed == 1 or math.ceil(round(needed * level, 9)) > needed - 1


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    [(1, 0.5, 1), (2, 0.5, 2), (9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (20, 0.9, 19), (99, 0.9, 90)],
)
def test_quantile_is_a_score_of_its_rank(count, level, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(list(scores), level) == rank


def test_too_few_cases_are_refused_with_the_number_needed():
    with pytest.raises(DataError, match=r"has at least 9 cases for --case_level 0\.9, but got 8"):
        conformal_quantile([1.0] * 8, 0.9)


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, True, "0.9"])
def test_levels_are_shares(level):
    with pytest.raises(ConfigError, match="--case_level: lies between 0 and 1"):
        cases_needed(level)


def test_groups_follow_the_thresholds_of_the_prediction():
    prediction = np.array([[-1000.0, -200.0], [250.0, 251.0]])
    groups = groups_of(prediction, "HU")
    assert {name: where.tolist() for name, where in groups.items()} == {
        "air": [[True, False], [False, False]],
        "soft": [[False, True], [True, False]],
        "bone": [[False, False], [False, True]],
    }
    assert groups_of(prediction, "DVR") == {}


def test_half_widths_by_hand():
    """Soft has no interval of its own and takes that of all."""
    intervals = {"all": Interval(1.0, 5.0, 9), "air": Interval(2.0, 1.0, 9), "bone": Interval(3.0, 10.0, 9)}
    prediction, spread = np.array([-900.0, 40.0, 900.0]), np.array([4.0, 7.0, 20.0])
    assert half_widths(prediction, spread, intervals, "HU").tolist() == [2 * 5, 7 + 5, 3 * 30]
    assert half_widths(prediction, spread, intervals, "SUV").tolist() == [9, 12, 25]


def test_fit_by_hand():
    """Spread 10 everywhere, so floor 10; errors 1 to 100 of case k times k: the 0.9 quantile is 91 k (``higher``)."""
    errors = np.arange(1.0, 101.0)
    samples = [Sample(np.zeros(100), np.full(100, 10.0), errors * k) for k in (1, 2, 3)]
    (interval,) = fitted(samples, "DVR", 0.9, 0.5).values()
    assert interval == (2 * 91 / 20, 10.0, 3)


def test_a_spread_of_zero_gives_intervals_of_constant_width():
    samples = [Sample(np.zeros(100), np.zeros(100), np.arange(1.0, 101.0))]
    intervals = fitted(samples, "DVR", 0.9, 0.5)
    assert half_widths(np.zeros(2), np.zeros(2), intervals, "DVR").tolist() == [91, 91]


def test_a_spread_that_says_nothing_gets_a_high_floor_and_one_that_tells_the_lowest():
    """Errors of one width: the interval is as narrow as that of constant width, where the lowest floor is wider."""
    silent, telling = cases(19, 0, telling=False), cases(19, 0)
    constant = [each._replace(spread=np.zeros(400)) for each in silent]
    found, level = (fitted(part, "DVR", 0.9, 0.9)["all"] for part in (silent, constant))
    usual = np.median([np.median(each.spread) for each in silent])
    assert found.floor >= 10 * usual
    spread = np.concatenate([each.spread for each in silent])
    assert np.mean(found.factor * (spread + found.floor)) == pytest.approx(level.factor * level.floor, rel=0.03)
    assert fitted(telling, "DVR", 0.9, 0.9)["all"].floor == pytest.approx(usual)


def test_a_group_of_too_few_cases_has_no_interval_of_its_own():
    rng = np.random.default_rng(0)
    samples = [Sample(np.zeros(100), np.ones(100), rng.random(100)) for _ in range(9)]
    bony = Sample(np.full(100, 500.0), np.ones(100), rng.random(100))
    assert fitted([*samples, bony], "HU", 0.9, 0.9).keys() == {"all", "soft"}


def test_lesions_are_a_group_by_their_mask_which_a_map_does_not_use():
    """Errors of 1 everywhere and of 8 in the lesion; spread and floor 1, so factors 0.5 and 4 at a level below 0.4."""
    lesion = np.repeat([True, False], [60, 100])
    sample = Sample(np.zeros(160), np.ones(160), np.where(lesion, 8.0, 1.0), lesion)
    intervals = fitted([sample], "DVR", 0.4, 0.5)
    assert intervals == {"all": Interval(0.5, 1.0, 1), "lesion": Interval(4.0, 1.0, 1)}
    assert half_widths(sample.prediction, sample.spread, intervals, "DVR").tolist() == [1.0] * 160
    few = sample._replace(lesion=np.arange(160) < 49)
    assert fitted([few], "DVR", 0.4, 0.5).keys() == {"all"}, "49 voxels give no score"


def cases(count: int, seed: int, scale: float = 1.0, telling: bool = True) -> list[Sample]:
    """Cases whose errors are Gaussian, times a factor of each case, and as wide as their spread, if that is telling."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        spread = rng.uniform(1, 20, 400)
        prediction = rng.choice([-900.0, 40.0, 800.0], 400)
        width = spread if telling else 10.0
        made.append(Sample(prediction, spread, np.abs(rng.normal(0, width * scale * rng.uniform(0.7, 1.4), 400))))
    return made


def kept(samples: list[Sample], intervals: dict[str, Interval], group: str) -> float:
    """Share of the cases of which 90 % of the voxels of a group lie within the interval."""
    inside = []
    for sample in samples:
        where = groups_of(sample.prediction, "HU")[group]
        widths = half_widths(sample.prediction, sample.spread, intervals, "HU")
        inside.append(np.mean(sample.error[where] <= widths[where]) >= 0.9)
    return float(np.mean(inside))


@pytest.mark.parametrize("telling", [True, False])
@pytest.mark.parametrize("group", ["air", "soft", "bone"])
def test_exchangeable_cases_are_covered_as_promised(group, telling):
    """Over calibrations of 19 cases the share of covered cases is 18 / 20 = 0.9; 200 calibrations x 20 test cases.

    A calibration's own share follows Beta(18, 2), standard deviation 0.065, so that the mean of 200 has 0.0066 with the
    test cases; four of these are 0.027.
    """
    shares = [
        kept(cases(20, 2 * k + 1, telling=telling), fitted(cases(19, 2 * k, telling=telling), "HU", 0.9, 0.9), group)
        for k in range(200)
    ]
    assert np.mean(shares) == pytest.approx(0.9, abs=0.027)


def test_cases_under_shift_are_covered_less():
    intervals = fitted(cases(19, 0), "HU", 0.9, 0.9)
    assert kept(cases(50, 1), intervals, "soft") > 0.75
    assert kept(cases(50, 1, scale=3.0), intervals, "soft") == 0

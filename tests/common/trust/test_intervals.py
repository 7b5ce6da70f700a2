"""Conformal quantiles by hand, and coverage of exchangeable and shifted cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.errors import DataError
from common.trust.intervals import (
    Interval,
    VoxelErrors,
    cases_needed,
    conformal_quantile,
    fitted,
    groups_of,
    half_widths,
    use_spread,
)


@pytest.mark.parametrize(("level", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19)])
def test_cases_needed_for_a_finite_quantile(level, needed):
    assert cases_needed(level) == needed
    assert math.ceil(round((needed + 1) * level, 9)) <= needed
    assert needed == 1 or math.ceil(round(needed * level, 9)) > needed - 1


@pytest.mark.parametrize(
    ("count", "level", "rank"),
    [(1, 0.5, 1), (2, 0.5, 2), (9, 0.8, 8), (9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (20, 0.9, 19), (99, 0.9, 90)],
)
def test_quantile_is_a_score_of_its_rank(count, level, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(list(scores), level) == rank


def test_too_few_cases_are_refused_with_the_number_needed():
    with pytest.raises(DataError, match=r"with --case_level 0\.9 needs 9 cases, and there are 8: give more"):
        conformal_quantile([1.0] * 8, 0.9)


def test_groups_follow_the_thresholds_of_the_prediction():
    prediction = np.array([[-1000.0, -200.0], [250.0, 251.0]])
    groups = groups_of(prediction, "HU")
    assert {name: where.tolist() for name, where in groups.items()} == {
        "air": [[True, False], [False, False]],
        "soft": [[False, True], [True, False]],
        "bone": [[False, False], [False, True]],
    }
    assert {name: where.all() for name, where in groups_of(prediction, "DVR").items()} == {"all": True}


def test_half_widths_by_hand():
    intervals = {"air": Interval(10.0, 0.0, 9), "soft": Interval(5.0, 1.0, 9), "bone": Interval(30.0, 3.0, 9)}
    prediction, spread = np.array([-900.0, 40.0, 900.0]), np.array([4.0, 7.0, 20.0])
    assert half_widths(prediction, spread, intervals, "HU").tolist() == [10, 12, 90]
    assert half_widths(prediction, np.zeros(1), {"all": Interval(8.0, 0.0, 9)}, "SUV").tolist() == [8, 8, 8]
    assert use_spread(intervals)
    assert not use_spread({"air": intervals["air"]})


def test_constant_width_by_hand():
    """Errors 1 to 100 of case k times k: the 0.9 quantile is 91 k (``higher``); of three cases the second counts."""
    errors = np.arange(1.0, 101.0)
    for spread in (0.0, 10.0):  # none, and one that is the same everywhere, cannot make it narrower
        samples = [VoxelErrors(np.zeros(100), np.full(100, spread), errors * k) for k in (1, 2, 3)]
        assert fitted(samples, "DVR", 0.9, 0.5) == {"all": Interval(2 * 91.0, 0.0, 3)}


def test_a_spread_that_is_the_error_makes_intervals_narrower_and_is_used():
    """Errors 2 to 200, twice the spread: 2 x spread / (spread + 15.15) is least with the lowest floor, .3 x 50.5.

    The 0.9 quantile has spread 91: 182 / 106.15, so that the mean half-width is that times 65.65, or 113, below 182.
    """
    spread = np.arange(1.0, 101.0)
    (found,) = fitted([VoxelErrors(np.zeros(100), spread, 2 * spread)], "DVR", 0.9, 0.5).values()
    assert found.per_spread == pytest.approx(182 / 106.15)
    assert found.constant == pytest.approx(15.15 * found.per_spread)


def test_a_spread_that_is_hardly_narrower_is_not_worth_further_passes():
    """Of silent cases the spread says nothing, of telling ones it is the width of the errors."""
    silent, telling = cases(19, 0, telling=False), cases(19, 0)
    assert fitted(silent, "DVR", 0.9, 0.9)["all"].per_spread == 0
    assert fitted(telling, "DVR", 0.9, 0.9)["all"].per_spread > 0


def test_a_group_of_too_few_cases_has_the_interval_of_all_voxels():
    """Errors of soft tissue up to 1, of the one case of bone 7: the level of 9 of 10 cases is below that of bone."""
    rng = np.random.default_rng(0)
    samples = [VoxelErrors(np.zeros(100), np.ones(100), rng.random(100)) for _ in range(9)]
    bony = VoxelErrors(np.full(100, 500.0), np.ones(100), np.full(100, 7.0))
    found = fitted([*samples, bony], "HU", 0.9, 0.9)
    assert found["bone"] == found["air"] == Interval(7.0, 0.0, 10)
    assert (found["soft"].constant < 1, found["soft"].cases) == (True, 9)


def cases(count: int, seed: int, scale: float = 1.0, telling: bool = True) -> list[VoxelErrors]:
    """Cases whose errors are Gaussian, times a factor of each case, and as wide as their spread, if that is telling."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        spread = rng.uniform(1, 20, 400)
        prediction = rng.choice([-900.0, 40.0, 800.0], 400)
        width = spread if telling else 10.0
        made.append(VoxelErrors(prediction, spread, np.abs(rng.normal(0, width * scale * rng.uniform(0.7, 1.4), 400))))
    return made


def kept(samples: list[VoxelErrors], intervals: dict[str, Interval]) -> list[float]:
    """For air, soft tissue and bone the share of cases with 90 % of the voxels within the interval."""
    inside = []
    for sample in samples:
        within = sample.error <= half_widths(sample.prediction, sample.spread, intervals, "HU")
        inside.append([np.mean(within[where]) >= 0.9 for where in groups_of(sample.prediction, "HU").values()])
    return np.mean(inside, axis=0).tolist()


@pytest.mark.parametrize("telling", [True, False])
def test_exchangeable_cases_are_covered_as_promised(telling):
    """Over calibrations of 19 cases the share of covered cases is 18 / 20 = 0.9; 200 calibrations x 20 test cases.

    A calibration's own share follows Beta(18, 2), standard deviation 0.065, so that the mean of 200 has 0.0066 with the
    test cases; four of these are 0.027.
    """
    shares = [
        kept(cases(20, 2 * k + 1, telling=telling), fitted(cases(19, 2 * k, telling=telling), "HU", 0.9, 0.9))
        for k in range(200)
    ]
    assert np.mean(shares, axis=0) == pytest.approx([0.9] * 3, abs=0.027)

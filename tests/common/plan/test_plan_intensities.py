from __future__ import annotations

import pytest

from common.plan.intensities import widened

WINDOW = [-600, 1400]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([(-100, 1300), (-500, 1350)], [-600, 1400]),
        ([(-100, 1500), (-100, 1300)], [-600, 1400]),  # 1400 on average
        ([(-100, 1633), (-100, 1500)], [-600, 1570]),  # three digits of 1566.5
        ([(-815, 1000)], [-815, 1400]),
    ],
)
def test_a_window_reaches_to_the_mean_percentiles(ranges, expected):
    assert widened(ranges, WINDOW) == expected


def test_fractions_stay_fractions():
    assert widened([(0.0, 0.0771)], [0, 0.05]) == [0, 0.0771]


def test_air_below_a_window_of_hu_does_not_widen_it():
    assert widened([(-1000, 1000)], WINDOW, keeps_low=True) == WINDOW

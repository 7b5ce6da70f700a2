from __future__ import annotations

import pytest

from common.errors import DataError
from common.plan.fingerprint import Values
from common.plan.intensities import outwards, percentiles_of, whole_window, window_of

WINDOW = [-600, 1400]


def values(low=-100.0, middle=40.0, high=1300.0, below=0.0, above=0.0, share=0.5):
    return Values((low, middle, high), below, above, share)


@pytest.mark.parametrize(
    ("cases", "expected", "word"),
    [
        ([values(), values()], [-600, 1400], "kept"),
        ([values(above=0.019), values(above=0.0)], [-600, 1400], "kept"),  # 0.95 % on average
        ([values(high=1630, above=0.02), values(high=1500, above=0.01)], [-600, 1700], "widened"),
        ([values(low=-815, below=0.02)], [-820, 1400], "widened"),
    ],
)
def test_a_window_is_widened_if_over_one_percent_lies_beyond_an_end(cases, expected, word):
    choice = window_of("target_window", cases, WINDOW)
    assert choice.value == expected
    assert choice.reason.startswith(word)


def test_air_below_a_window_of_hu_does_not_widen_it():
    assert window_of("target_window", [values(low=-1000, below=0.2)], WINDOW, keeps_low=True).value == WINDOW


def test_another_unit_is_refused():
    rule = r"--source_window: holds most of the foreground in \[0, 3\], but got 90% outside, median 700; convert"
    with pytest.raises(DataError, match=rule):
        window_of("source_window", [values(middle=700, above=0.9)], [0, 3])


def test_the_upper_percentile_clips_half_a_percent_of_the_foreground():
    # a fifth of the voxels is foreground: 0.1 % of all are 0.5 % of it
    assert percentiles_of([values(above=0.025, share=0.2)], [0.5, 99.5]).value == [0.5, 99.9]
    assert percentiles_of([values(above=0.009, share=0.2)], [0.5, 99.5]).value == [0.5, 99.5]


def test_the_window_of_a_unit_that_is_given():
    assert whole_window([values(low=12, high=431), values(low=15, high=418)]).value == [0, 440]
    assert whole_window([values(low=-12.3, high=0.0771)]).value == [-13, 0.078]


def test_numbers_are_rounded_outwards():
    assert [outwards(1630, 1), outwards(-815, -1), outwards(0.0771, 1), outwards(2.0, 1), outwards(0, 1)] == [
        1700, -820, 0.078, 2.0, 0.0
    ]  # fmt: skip

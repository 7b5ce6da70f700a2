"""Coverage and sharpness of the intervals of a case, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.trust.intervals.checked import Checked, table
from common.trust.intervals.conformal import Interval, Sample
from common.trust.intervals.record import Record

RECORD = Record(
    "0" * 64, "HU", 0.9, 0.9, {}, {"all": Interval(1.0, 1.0, 9), "bone": Interval(2.0, 0.5, 9)},
    {"all": Interval(50.0, 1.0, 9)}, [], [],
)  # fmt: skip


def sample() -> Sample:
    """100 voxels of soft tissue with half widths of 1 to 100, 60 of bone with 21, and an error of 50.5 and 20."""
    spread = np.concatenate([np.arange(100.0), np.full(60, 10.0)])
    prediction = np.repeat([40.0, 900.0], [100, 60])
    return Sample(prediction, spread, np.repeat([50.5, 20.0], [100, 60]))


def test_rows_by_hand():
    rows = {row.group: row for row in Checked.of("case", sample(), RECORD)}
    assert list(rows) == ["all", "soft", "bone"], "there is no air"
    soft, bone = rows["soft"], rows["bone"]
    assert soft[2:4] == (0.5, 50.5)
    assert soft[5:] == (0, 50)
    assert bone[2:4] == (1, 21)
    assert bone[5:] == (1, 50)
    assert np.isnan(soft.correlation), "the error is the same everywhere"
    assert rows["all"].coverage == pytest.approx(110 / 160)
    assert rows["all"].width == pytest.approx((100 * 50.5 + 60 * 21) / 160)


def test_widths_end_with_the_range_of_the_targets_as_in_a_map():
    """At 40 HU with targets from -10 to 100 HU: 60 HU at most, where the calibration asks for 1 to 100."""
    soft, _ = list(Checked.of("case", sample()._replace(window=(-10.0, 100.0)), RECORD))[1:]
    assert soft.width == pytest.approx((60 * 30.5 + 40 * 60) / 100)
    assert soft.constant_width == 50


def test_lesions_are_checked_with_the_intervals_of_a_map_and_with_their_own():
    """Of the bone, with an error of 20: 21 by the map, 5 x (10 + 1) by the mask; constant 50 and 10."""
    own = replace(
        RECORD,
        intervals=RECORD.intervals | {"lesion": Interval(5.0, 1.0, 9)},
        constant=RECORD.constant | {"lesion": Interval(10.0, 1.0, 9)},
    )
    rows = {row.group: row for row in Checked.of("a", sample()._replace(lesion=sample().prediction > 250), own)}
    assert rows["lesion"][2:4] == rows["bone"][2:4] == (1, 21)
    assert (rows["by mask"].coverage, rows["by mask"].width) == (1, 55)
    assert (rows["lesion"].constant_coverage, rows["by mask"].constant_coverage) == (1, 0)
    told = table(list(rows.values()), own).splitlines()[-1]
    assert told == "lesion: voxels of the lesion mask, with the intervals of a map; by mask: with their own"


def test_rank_correlation_follows_the_order_of_errors():
    one = sample()._replace(prediction=np.full(160, 40.0))
    for error, expected in ((one.spread, 1), (100 - one.spread, -1)):
        row = next(Checked.of("a", one._replace(error=error), RECORD))
        assert row.correlation == pytest.approx(expected)


def test_table_counts_the_cases_that_reach_the_level():
    rows = [row for name in ("a", "b") for row in Checked.of(name, sample(), RECORD)]
    text = table(rows, RECORD)
    assert "soft     0 of 2 cases reach 0.9, worst 0.500; constant width 0" in text
    assert "bone     2 of 2 cases reach 0.9, worst 1.000; constant width 2" in text

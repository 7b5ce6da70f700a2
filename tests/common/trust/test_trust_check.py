"""The file of a calibration, coverage of its intervals, and the tables of a check, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from common.errors import CheckpointError
from common.trust.case_verdicts import CaseVerdicts
from common.trust.check import CheckedCase, Coverage, coverage_of, table
from common.trust.intervals import VoxelErrors
from common.trust.record import path_of, read_record


def voxels() -> VoxelErrors:
    """100 voxels of soft tissue with half-widths of 5 to 203, 60 of bone with 80, and errors of 104 and 20."""
    spread = np.concatenate([np.arange(100.0), np.full(60, 10.0)])
    return VoxelErrors(np.repeat([40.0, 900.0], [100, 60]), spread, np.repeat([104.0, 20.0], [100, 60]))


def test_coverage_by_hand(record):
    """5 + 2 x spread reaches 104 from a spread of 50 on."""
    rows = {row.group: row for row in coverage_of(voxels(), record)}
    assert list(rows) == ["all", "soft", "bone"], "there is no air"
    assert rows["soft"] == ("soft", 0.5, 104)
    assert rows["bone"] == ("bone", 1, 80)
    assert rows["all"] == ("all", pytest.approx(110 / 160), pytest.approx((100 * 104 + 60 * 80) / 160))


def test_widths_end_with_the_range_of_the_targets_as_in_a_map(record):
    """At 40 HU with targets from -10 to 100 HU: 60 HU at most, of 5 to 203."""
    soft = next(row for row in coverage_of(voxels()._replace(window=(-10.0, 100.0)), record) if row.group == "soft")
    assert soft.width == pytest.approx((sum(range(5, 60, 2)) + 72 * 60) / 100)


def test_lesions_are_checked_with_the_intervals_of_a_map(record):
    lesion = voxels().prediction > 250
    rows = {row.group: row for row in coverage_of(voxels()._replace(lesion=lesion), record)}
    assert rows["lesion"][1:] == rows["bone"][1:]
    few = voxels()._replace(lesion=np.arange(160) < 49)
    assert "lesion" not in {row.group for row in coverage_of(few, record)}, "49 voxels give no score"


def test_tables_count_cases_that_reach_the_level_verdicts_and_what_was_missed(record):
    """Errors of up to 120 HU are those of 90 % of the cases like the calibration's."""
    rows = [
        CheckedCase("a", "intact", 100.0, "accept", [Coverage("soft", 0.5, 100.0)]),
        CheckedCase("a", "ghost", 300.0, "accept", []),
        CheckedCase("a", "ghost", 400.0, "refuse", []),
        CheckedCase("b", "intact", 110.0, "review", [Coverage("soft", 1.0, 300.0)]),
        CheckedCase("b", "blur", 120.0, "refuse", []),
    ]
    lines = table(rows, record).splitlines()
    assert lines[1].split() == ["a", "soft", "0.500", "100"]
    assert lines[3].split(", ")[1:] == ["1 of 2 cases reach 0.9", "worst 0.500"]
    assert lines[3].split(",")[0].split() == ["mean", "soft", "0.750", "200"]
    assert lines[6].split() == ["intact", "2", "105", "1", "1", "0"]
    assert lines[7].split() == ["blur", "1", "120", "0", "0", "1"]
    assert lines[8].split() == ["ghost", "2", "350", "1", "0", "1"]
    assert lines[9] == "MAE above 120: 2 samples, 1 of them not refused"
    assert lines[10] == "MAE of 120 or less: 3 samples, 1 of them refused"


TILT = "tilt of the head, a"


def test_read_as_written(weights, record):
    assert record.write(weights) == path_of(weights) == weights.with_name("model_trust.json")
    assert read_record(weights) == record
    assert record.hold == "90% of voxels in 90% of cases"


def test_a_missing_calibration_names_the_command_that_makes_it(weights, caplog):
    with pytest.raises(
        CheckpointError, match=r"no calibration at .*model_trust\.json: calibrate the weights by synthesize calibrate"
    ):
        read_record(weights)
    with caplog.at_level("INFO"):
        assert CaseVerdicts.of(weights) is None
    assert caplog.messages == ["no verdicts: no calibration next to the weights"]


def test_other_weights_are_refused(weights, record, caplog):
    record.write(weights)
    weights.write_bytes(b"weightz")
    with pytest.raises(CheckpointError, match=r"calibrates the weights \w{12}\.{3}, and these are \w{12}\.{3}: "):
        read_record(weights)
    assert CaseVerdicts.of(weights) is None
    assert caplog.records[-1].levelname == "WARNING"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema_version",), 2),
        (("level",), "0.9"),
        (("tissues",), None),
        (("intervals",), {}),
        (("intervals",), None),
        (("intervals", "soft", "constant"), "NaN"),
        (("limits", "features"), {}),
        (("limits", "features", TILT, "mean"), float("nan")),
        (("limits", "features", TILT, "deviation"), 0),
        (("limits", "upper_mae"), None),
        (("limits", "baselines"), {}),
        (("data",), ["heads"]),
        (("spread",), "other"),
    ],
)
def test_a_damaged_file_is_refused(weights, record, place, value):
    record.write(weights)
    content = json.loads(path_of(weights).read_text())
    part = content
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    path_of(weights).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"cannot read the calibration at .*model_trust\.json \("):
        read_record(weights)

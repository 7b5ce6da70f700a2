"""The file of a calibration: read as written, and refused for other weights."""

from __future__ import annotations

import json

import pytest

from common.errors import CheckpointError
from common.trust.case_verdicts import CaseVerdicts
from common.trust.record import path_of, read_record

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
        (("intervals",), {}),
        (("intervals", "soft", "constant"), "NaN"),
        (("intervals", "soft"), {"constant": 1.0}),
        (("limits", "features"), {}),
        (("limits", "features", TILT, "mean"), float("nan")),
        (("limits", "deviations"), {"review": 1.0}),
        (("limits", "upper_mae"), None),
        (("data",), ["heads"]),
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

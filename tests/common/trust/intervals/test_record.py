"""The file of a calibration: read as written, and refused for other weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import CheckpointError, ConfigError
from common.trust.intervals.conformal import Interval
from common.trust.intervals.maps import UncertaintyMaps
from common.trust.intervals.record import Record, path_of, read_record
from common.weights import checkpoints


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def record(weights: Path) -> Record:
    intervals = {"all": Interval(1.5, 20.0, 9), "bone": Interval(2.5, 80.0, 9)}
    manner = {"variations": ["mirrored"], "mirrored": [], "steps": []}
    constant = {"all": Interval(90.0, 1.0, 9)}
    return Record(checkpoints.sha256(weights), "HU", 0.9, 0.9, manner, intervals, constant, ["a"], ["f" * 64])


def test_read_as_written(weights):
    written = record(weights)
    path = written.write(weights)
    assert path == weights.with_name(f"{weights.stem}_uncertainty.json")
    assert read_record(weights) == written


def test_a_missing_calibration_names_the_command_that_makes_it(weights):
    with pytest.raises(CheckpointError, match=r"has a calibration, .*no such file.*run calibrating"):
        read_record(weights)


def test_other_weights_are_refused(weights):
    record(weights).write(weights)
    weights.write_bytes(b"weightz")
    with pytest.raises(CheckpointError, match=r"is of the weights \w{12}\.\.\., but got \w{12}\.\.\.; calibrate"):
        read_record(weights)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"intervals": {}},
        {"intervals": {"all": {"factor": -1, "floor": 1, "cases": 9}}},
        {"intervals": {"all": {"factor": 1, "floor": 0, "cases": 9}}},
        {"intervals": {"all": {"factor": 1, "floor": "NaN", "cases": 9}}},
    ],
)
def test_a_damaged_file_is_refused(weights, change):
    record(weights).write(weights)
    told = json.loads(path_of(weights).read_text())
    path_of(weights).write_text(json.dumps({**told, **change}))
    with pytest.raises(CheckpointError, match=r"uncertainty\.json: holds a calibration"):
        read_record(weights)


def test_another_unit_is_refused(weights):
    record(weights).write(weights)
    with pytest.raises(ConfigError, match=r"is calibrated in HU, but got DVR"):
        UncertaintyMaps(weights, "DVR")

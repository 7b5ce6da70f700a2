"""The file of a grading: read as written, and refused for other weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import CheckpointError
from common.trust.verdicts.cases import CaseVerdicts
from common.trust.verdicts.predictor import Predictor, Term
from common.trust.verdicts.record import Record, path_of, read_record
from common.trust.verdicts.verdict import Limits, Usual
from common.weights import checkpoints

SIGN = "tilt of the head, a"


def record(weights: Path) -> Record:
    predictor = Predictor({SIGN: Term(-1.0, 1.0, 0.0, 0.5, 0.25)}, 4.5, 1.25, 10.0)
    limits = Limits({"look": 125.0, "refuse": 150.0}, {"look": 4.0, "refuse": 6.0}, {SIGN: Usual(0.0, 0.1)})
    about = {"samples": 3, "rank_correlation": 0.9}
    sha256 = checkpoints.sha256(weights)
    return Record(sha256, "HU", [], predictor, limits, about, {"intact": 100.0}, ["blur"], ["a"], ["f" * 64])


def test_read_as_written(weights):
    written = record(weights)
    assert written.write(weights) == weights.with_name("model_quality.json")
    assert read_record(weights) == written


def test_without_a_grading_the_log_says_that_nothing_is_refused(weights, caplog):
    with caplog.at_level("INFO"):
        assert CaseVerdicts.of(weights) is None
    (line,) = caplog.messages
    assert line == "no verdicts, and no case is refused: the weights have no grading, model_quality.json"


def test_other_weights_get_no_verdict(weights, caplog):
    record(weights).write(weights)
    weights.write_bytes(b"weightz")
    message = r"model_quality\.json: is of the weights \w{12}\.\.\., but got \w{12}\.\.\.; grade these weights"
    with pytest.raises(CheckpointError, match=message):
        read_record(weights)
    assert CaseVerdicts.of(weights) is None
    assert "no verdicts, and no case is refused: " in caplog.text


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema_version",), 1),
        (("limits", "usual"), {}),
        (("limits", "mae"), {"look": 1.0}),
        (("predictor", "terms", SIGN, "coefficient"), "NaN"),
    ],
)
def test_a_damaged_file_is_refused(weights, place, value):
    record(weights).write(weights)
    told = json.loads(path_of(weights).read_text())
    part = told
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    path_of(weights).write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=r"model_quality\.json: holds a grading"):
        read_record(weights)

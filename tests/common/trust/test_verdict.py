"""Verdicts by hand, and their words."""

from __future__ import annotations

import math
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from scipy import stats

from common.io.export.verdicts import in_words, why_refused
from common.trust import words
from common.trust.case_verdicts import CaseVerdicts, NetworkInput
from common.trust.verdict import Usual, allowed_deviations, verdict_of

TILT = "tilt of the head, a"
GRAIN = "grain of the source"
TILTED = "the head is tilted: look whether its header has the right orientation ({:g}, usual -0.3 to 0.3)"


@pytest.mark.parametrize(
    ("tilt", "expected", "reasons"),
    [
        (-0.29, "accept", ()),
        (0.31, "review", (TILTED.format(0.31),)),
        (-0.59, "review", (TILTED.format(-0.59),)),
        (-0.61, "refuse", (TILTED.format(-0.61),)),
        (math.nan, "refuse", ("tilt of the head, a is not a number",)),
    ],
)
def test_verdicts_by_the_distance_of_a_feature(record, tilt, expected, reasons):
    assert verdict_of({TILT: tilt}, record.limits) == (expected, reasons)


def test_a_case_without_features_or_without_one_of_them_is_refused(record):
    assert verdict_of("source: has a head", record.limits) == ("refuse", ("source: has a head",))
    (reason,) = verdict_of({GRAIN: 0.1}, record.limits).reasons
    assert reason == "tilt of the head, a, which the calibration has, is not computed by this inference"


def test_weights_that_are_no_better_than_a_baseline_have_every_case_refused(record):
    limits = record.limits._replace(baselines={"best constant": 200.0, "copied source": 100.0})
    found = verdict_of({TILT: 0.0}, limits)
    assert found == ("refuse", ("the weights are no better than the copied source on their calibration cases",))


def test_a_case_with_a_warning_is_not_accepted(record):
    stripped = "unlike the training data: looks skull-stripped: no bone can be predicted"
    assert verdict_of({TILT: 0.0}, record.limits, [stripped]) == ("review", (stripped,))
    assert verdict_of({TILT: 0.61}, record.limits, [stripped]).verdict == "refuse"


def test_a_case_that_is_unsuited_is_refused(record):
    reason = "unsuited to the weights: looks skull-stripped: no bone can be predicted"
    assert verdict_of({TILT: 0.0}, record.limits, [reason]) == ("refuse", (reason,))


def test_four_kinds_of_features_are_named_by_their_furthest_and_the_others_counted(record):
    kinds = ["grain of the source", "slice thickness in mm", "symmetry of the source", "signal around the head"]
    names = [*kinds, "head extent in mm, x", "tilt of the head, x", "tilt of the head, y"]
    limits = record.limits._replace(features=dict.fromkeys(names, record.limits.features[TILT]))
    found = verdict_of({name: 0.31 + 0.01 * number for number, name in enumerate(names)}, limits)
    assert found.reasons[0].startswith("the head is tilted")
    assert found.reasons[0].endswith("(0.37, usual -0.3 to 0.3)")
    assert found.reasons[1].startswith("the head is long from x")
    assert found.reasons[4:] == ("2 more unusual features",)


def test_the_place_of_an_overlap_is_told(record):
    name = "overlap of tissue: bone"
    limits = record.limits._replace(features={name: Usual(0.8, 0.1)})
    (reason,) = verdict_of({name: 0.4}, limits, where=lambda asked: "the upper third" if asked == name else "").reasons
    assert reason == (
        "bone is elsewhere in the synthetic image than in the source in the upper third: look there"
        " (0.4, usual 0.5 to 1.1)"
    )


def case_verdict(record, output=None, **head):
    """Of a case with the features ``head``, as they are computed of any volumes."""
    verdicts = CaseVerdicts(record)
    verdicts.features = Mock(return_value={TILT: head["tilt"]}, worst_part=Mock(return_value=""))
    grid, output = np.eye(4), np.zeros((4, 4, 4)) if output is None else output
    return verdicts(NetworkInput(output[None], output.shape, grid, grid), output)


def test_verdicts_as_written(record):
    found = case_verdict(record, tilt=0.0)
    errors = {"calibration_mae": 100.0, "upper_mae": 120.0, "calibrated_on": "1 cases (held out)"}
    assert found == {"verdict": "accept", **errors, "case_level": 0.9, "unit": "HU", "reasons": []}
    most = "at most 120 HU in 90 % of cases like those of the calibration, 1 cases (held out)"
    assert in_words(found) == f"quality: accept, MAE of the calibration 100 HU, {most}"
    review = case_verdict(record, tilt=0.4)
    assert in_words(review).endswith(f"1 cases (held out); {TILTED.format(0.4)}")
    assert CaseVerdicts(replace(record, data="heads")).calibrated_on == "1 cases (heads)"


def test_an_output_with_a_periodic_pattern_is_not_accepted(record):
    striped = np.random.default_rng(0).normal(size=(48, 40, 40)) + np.cos(np.pi * np.arange(48))[:, None, None]
    found = case_verdict(record, striped, tilt=0.0)
    assert found["verdict"] == "review"
    assert found["reasons"][0].startswith("the synthetic image has a periodic pattern, such as a checkerboard")


def test_no_expected_error_of_a_refused_case_is_written(record):
    """Nothing is known of a source that is unlike those of the calibration."""
    found = case_verdict(record, tilt=-0.7)
    reason = TILTED.format(-0.7)
    assert found == {"verdict": "refuse", "case_level": 0.9, "unit": "HU", "reasons": [reason]}
    assert in_words(found) == f"quality: refuse; {reason}"
    remedy = "check the source, or write the volume nevertheless with --refuse false"
    assert why_refused(found, as_dicom=False) == f"{reason}; {remedy}"
    never = " and another --output_format, since no option writes a refused volume as DICOM"
    assert why_refused(found, as_dicom=True) == f"{reason}; {remedy}{never}"


def test_the_chance_of_a_case_beyond_its_limits_is_shared_out_over_the_features():
    """The limit of one feature among 50, 10 cases: Student's t with 9 degrees, 0.1 / 50 in both tails together."""
    found = allowed_deviations(10, 50)
    assert 2 * stats.t.sf(found["review"] / math.sqrt(1.1), 9) == pytest.approx(0.1 / 50)
    assert 2 * stats.t.sf(found["refuse"] / math.sqrt(1.1), 9) == pytest.approx(0.01 / 50)


def test_a_value_just_beyond_its_range_is_not_shown_as_if_it_lay_within():
    told = words.in_words("overlap of the heads", 0.7338, (0.7342, 0.997), "the middle third")
    assert told.endswith("in the middle third: look there (0.7338, usual 0.7342 to 0.997)")

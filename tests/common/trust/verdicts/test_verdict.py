"""Verdicts by hand, and their words."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from common.io.export.verdicts import in_words, why_refused
from common.trust.verdicts.predictor import Predictor, Term
from common.trust.verdicts.verdict import Limits, Usual, allowed_deviations, judged, usual_of, without_signs

TILT, GRAIN = "tilt of the head, a", "grain of the source"


def verdict(tilt: float = 0.0, error: float = 100.0, upper_factor: float = 1.2):
    """Limits: a look above 125 and refused above 150; tilt of 0 +- 0.1, three and six deviations."""
    predictor = Predictor({TILT: Term(-9.0, 9.0, 0.0, 1.0, 0.0)}, math.log(error), upper_factor, 1.0)
    limits = Limits({"look": 125.0, "refuse": 150.0}, {"look": 3.0, "refuse": 6.0}, {TILT: Usual(0.0, 0.1)})
    return judged({TILT: tilt}, predictor, limits, "HU")


@pytest.mark.parametrize(
    ("given", "expected", "reason"),
    [
        ({}, "accept", None),
        ({"tilt": -0.29}, "accept", None),
        ({"error": 126.0}, "look", "predicted MAE 126 HU, limit of look 125"),
        ({"error": 151.0}, "refuse", "predicted MAE above 150 HU, the limit of refuse"),
        ({"error": 110.0, "upper_factor": 1.4}, "look", "MAE of up to 154 HU not excluded, limit of refuse 150"),
        ({"tilt": 0.31}, "look", "tilt of the head, a 0.31, usual -0.3 to 0.3"),
        ({"tilt": -0.61}, "refuse", "tilt of the head, a -0.61, usual -0.3 to 0.3"),
        ({"tilt": math.nan}, "refuse", "tilt of the head, a is no number"),
        ({"tilt": 0.31, "error": 151.0}, "refuse", "predicted MAE above 150 HU, the limit of refuse"),
        ({"tilt": -0.61, "error": 126.0}, "refuse", "tilt of the head, a -0.61, usual -0.3 to 0.3"),
        ({"tilt": -0.61, "error": 149.0}, "refuse", "tilt of the head, a -0.61, usual -0.3 to 0.3"),
    ],
)
def test_verdicts(given, expected, reason):
    found = verdict(**given)
    assert found.verdict == expected
    assert (found.reasons[0] if found.reasons else None) == reason


def test_words_and_numbers_that_are_written():
    assert verdict(error=126.0).told() == {
        "verdict": "look",
        "predicted_mae": 126.0,
        "upper_mae": 151.2,
        "unit": "HU",
        "reasons": ["predicted MAE 126 HU, limit of look 125"],
    }
    assert in_words(verdict(error=126.0).told()) == (
        "quality: look, predicted MAE 126 HU (90 % of calibration samples up to 151.2); "
        "predicted MAE 126 HU, limit of look 125"
    )
    none = without_signs("source: has a head", "HU").told()
    assert none == {"verdict": "refuse", "unit": "HU", "reasons": ["source: has a head"]}
    assert in_words(none) == "quality: refuse; source: has a head"


def test_no_predicted_error_of_a_refused_case_is_written():
    """1 HU of a source that is unlike all graded ones, by its tilt, would be read as a good result."""
    found = verdict(tilt=-0.7, error=1.0).told()
    assert found == {"verdict": "refuse", "unit": "HU", "reasons": ["tilt of the head, a -0.7, usual -0.3 to 0.3"]}
    assert in_words(found) == "quality: refuse; tilt of the head, a -0.7, usual -0.3 to 0.3"


def test_what_a_refused_case_says_can_be_done():
    told = verdict(tilt=-0.7, error=151.0).told()
    reasons = "predicted MAE above 150 HU, the limit of refuse; tilt of the head, a -0.7, usual -0.3 to 0.3; "
    remedy = "check the source, or write the volume nevertheless with --refuse false"
    assert why_refused(told, as_dicom=False) == reasons + remedy
    never = " and another --output_format, since no option writes a refused volume as DICOM"
    assert why_refused(told, as_dicom=True) == reasons + remedy + never


def test_usual_values_have_the_least_deviation_of_their_kind():
    found = usual_of([{TILT: 0.01, GRAIN: 0.1}, {TILT: 0.01, GRAIN: 0.3}])
    assert found[TILT] == (pytest.approx(0.01), 0.01)
    assert found[GRAIN] == (pytest.approx(0.2), pytest.approx(math.sqrt(0.02)))


def test_the_chance_of_an_intact_case_beyond_its_limits_is_shared_out_over_the_signs():
    """The limit of one sign among 50, 10 cases: Student's t with 9 degrees, 0.1 / 50 in both tails together."""
    found = allowed_deviations(10, 50)
    assert 2 * stats.t.sf(found["look"] / math.sqrt(1.1), 9) == pytest.approx(0.1 / 50)
    assert 2 * stats.t.sf(found["refuse"] / math.sqrt(1.1), 9) == pytest.approx(0.01 / 50)

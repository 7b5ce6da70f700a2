"""The table of a check, and how well left-out cases are predicted, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.trust.verdicts.checked import Checked, table
from common.trust.verdicts.grading import cross_validated
from common.trust.verdicts.predictor import Fit, Predictor
from common.trust.verdicts.record import Record
from common.trust.verdicts.samples import INTACT, Sample
from common.trust.verdicts.verdict import Limits, Verdict, without_signs

PREDICTOR = Predictor({}, 0.0, 1.2, 1.0)
LIMITS = Limits({"look": 125.0, "refuse": 150.0}, {"look": 4.0, "refuse": 6.0}, {})


def row(kind: str, error: float, predicted: float, verdict: str) -> Checked:
    return Checked("a", kind, error, Verdict(verdict, predicted, 1.2 * predicted, "HU", ()))


def test_table_tells_misses_false_refusals_and_what_was_not_fitted():
    rows = [
        row(INTACT, 100, 110, "accept"),
        row(INTACT, 120, 100, "refuse"),
        row("blur", 200, 190, "refuse"),
        row("ghost", 300, 120, "accept"),
        Checked("a", "ghost", 400, without_signs("no head", "HU")),
    ]
    record = Record("0" * 64, "HU", [], PREDICTOR, LIMITS, {}, {}, ["blur"], [], [])
    lines = table(rows, record).splitlines()
    assert lines[1].split() == ["intact", "2", "110", "105", "1", "0", "1"]
    assert lines[2].split() == ["blur", "1", "200", "190", "0", "0", "1"]
    assert lines[3].split() == ["ghost", "*", "2", "350", "nan", "1", "0", "1"]
    # of four with a prediction: ranks 1 2 3 4 against 2 1 4 3; factors 1.1, 1.2, 1.05, 2.5; all but one below 1.2 x
    assert "4 samples, rank correlation 0.60, median factor 1.15, 0.75 within the upper bound" in lines[5]
    assert lines[-2] == "MAE above 150: 3 samples, 1 of them accepted"
    assert lines[-1] == "MAE of 150 or less: 2 samples, 1 of them refused"


def test_agreement_of_left_out_cases():
    known = [(100.0, 110.0), (120.0, 100.0), (200.0, 210.0), (400.0, 300.0)]
    samples = [Sample("a", INTACT if true < 150 else "blur", {}, true, {}) for true, _ in known]
    found = cross_validated(samples, Fit(PREDICTOR, np.array([told for _, told in known])))
    assert found["samples"] == 4
    assert found["rank_correlation"] == pytest.approx(0.8)
    assert found["rank_correlation_intact"] == pytest.approx(-1)
    assert found["error_factor"] == pytest.approx(math.sqrt(1.1 * 1.2))

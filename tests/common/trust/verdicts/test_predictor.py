"""The regression of errors on signs, against a law that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.trust.verdicts import predictor
from common.trust.verdicts.predictor import Predictor, Term, fitted


def law(rng: np.random.Generator, cases: int, each: int):
    """Samples whose error is 100 x 2^a, with a second sign that says nothing."""
    signs = [{"a": float(a), "b": float(b)} for a, b in rng.uniform(-1, 1, (cases * each, 2))]
    names = [f"case_{number // each}" for number in range(cases * each)]
    return signs, [100 * 2 ** sample["a"] for sample in signs], names


def test_a_known_law_is_found():
    signs, errors, cases = law(np.random.default_rng(0), 10, 6)
    fit = fitted(signs, errors, cases, 100)
    assert fit.predictor({"a": 0.5, "b": 0.9}) == pytest.approx(100 * math.sqrt(2), rel=0.01)
    assert fit.predictor({"a": -0.5, "b": -0.9}) == pytest.approx(100 / math.sqrt(2), rel=0.01)
    np.testing.assert_allclose(fit.left_out, errors, rtol=0.03)
    assert fit.predictor.penalty == 0.1  # exact data need the least


def test_a_prediction_of_a_left_out_case_does_not_use_it():
    """One case alone has error 1000 and sign 1: left out, it is predicted from the others, which have 100."""
    signs = [{"a": 0.0}, {"a": 0.1}, {"a": -0.1}, {"a": 1.0}, {"a": 1.0}]
    fit = fitted(signs, [100, 100, 100, 1000, 1000], ["x", "y", "z", "odd", "odd"], 300)
    assert fit.left_out[3:] == pytest.approx([100, 100])
    assert fit.predictor({"a": 1.0}) > 500


def test_prediction_by_hand_and_signs_beyond_their_range():
    doubled = Predictor({"a": Term(-2.0, 2.0, 1.0, 0.5, math.log(2))}, math.log(10), 1.5, 1.0)
    assert doubled({"a": 1.0}) == pytest.approx(10)
    assert doubled({"a": 1.5}) == pytest.approx(20)
    assert doubled({"a": 2.0}) == doubled({"a": 50.0}) == pytest.approx(40)


def test_intact_cases_are_predicted_right_beside_distortions_that_no_line_fits():
    """Errors of 10 where the sign is about 0, and up to 1500 where it is not: unweighted, 10 is taken for 107."""
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 0.05, 12), rng.uniform(1, 2.24, 60) * rng.choice([-1, 1], 60)])
    signs, errors = [{"a": float(a)} for a in values], list(10 * np.exp(values**2))
    fit = fitted(signs, errors, [f"case_{number % 12}" for number in range(72)], 10)
    assert fit.predictor({"a": 0.0}) == pytest.approx(10, rel=0.2)


def test_nine_of_ten_left_out_errors_lie_below_the_upper_bound_of_an_unweighted_fit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predictor, "NEAR", 1.0e6)
    rng = np.random.default_rng(1)
    signs, errors, cases = law(rng, 20, 5)
    noisy = list(np.array(errors) * np.exp(rng.normal(0, 0.3, len(errors))))
    fit = fitted(signs, noisy, cases, 100)
    below = noisy <= fit.left_out * fit.predictor.upper_factor * 1.000001
    assert np.mean(below) == pytest.approx(0.9, abs=0.011)
    assert fit.predictor.upper_factor == pytest.approx(math.exp(1.28 * 0.3), rel=0.2)


def test_nine_of_ten_left_out_errors_lie_below_the_upper_bound_by_their_weight():
    rng = np.random.default_rng(1)
    signs, errors, cases = law(rng, 20, 5)
    noisy = np.array(errors) * np.exp(rng.normal(0, 0.3, len(errors)))
    fit = fitted(signs, list(noisy), cases, 100)
    weights = 1 / (1 + (np.log(noisy / 100) / 0.25) ** 2)
    below = noisy <= fit.left_out * fit.predictor.upper_factor * 1.000001
    assert weights[below].sum() / weights.sum() == pytest.approx(0.9, abs=0.02)

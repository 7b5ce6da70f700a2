"""Ridge regression of the logarithm of a case's mean absolute error on its signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PENALTIES = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Tried by cross-validation, of standardised signs."""
UPPER_LEVEL = 0.9
"""Share of left-out samples, by their weight, whose error is below its upper bound."""
NEAR = 0.25
"""[chosen] Logarithm of the ratio of an error to that of intact cases, at which a sample weighs half."""

Array = NDArray[np.float64]


class Term(NamedTuple):
    """What the regression holds of a sign: its range, mean and deviation over the samples, and its coefficient."""

    low: float
    high: float
    mean: float
    deviation: float
    coefficient: float


class Predictor(NamedTuple):
    """Predicts a mean absolute error.

    ``terms`` by the name of the sign, ``intercept`` of the logarithm; ``upper_factor`` times the prediction is above
    the error of ``UPPER_LEVEL`` of the weight of the samples that the regression had not seen.
    """

    terms: dict[str, Term]
    intercept: float
    upper_factor: float
    penalty: float

    def __call__(self, signs: Mapping[str, float]) -> float:
        """The predicted error, in the unit of those that were fitted; signs beyond their range count as its end."""
        total = self.intercept
        for name, term in self.terms.items():
            value = min(max(signs[name], term.low), term.high)
            total += term.coefficient * (value - term.mean) / term.deviation
        return float(np.exp(total))


class Fit(NamedTuple):
    """A predictor, and what it gave for each sample when the sample's case was left out (N,)."""

    predictor: Predictor
    left_out: Array


def fitted(signs: Sequence[Mapping[str, float]], errors: Sequence[float], cases: Sequence[str], usual: float) -> Fit:
    """Fit the errors of samples; the penalty is that of the best predictions of left-out cases.

    Verdicts are decided at errors little above those of intact cases. A distortion may make the error fifty times as
    large, and unweighted such samples decide the fit: intact cases were predicted too high. So a sample weighs the less
    the further its error is from ``usual``: half at a factor of ``exp(NEAR)``, as the density of Cauchy's distribution.

    Args:
        signs: of each sample, with the same names.
        errors: mean absolute error of each sample, above 0.
        cases: of each sample; a case may have several samples, intact and distorted. Two at least.
        usual: error of an intact case, above 0.
    """
    names = list(signs[0])
    values = np.array([[sample[name] for name in names] for sample in signs])
    logs, groups = np.log(np.asarray(errors, dtype=float)), np.asarray(cases)
    weights = 1 / (1 + ((logs - np.log(usual)) / NEAR) ** 2)
    tried = {penalty: _left_out(values, logs, weights, groups, penalty) for penalty in PENALTIES}
    penalty = min(tried, key=lambda each: float(np.average((tried[each] - logs) ** 2, weights=weights)))
    terms, intercept = _ridge(values, logs, weights, penalty)
    residuals = logs - tried[penalty]
    upper = np.quantile(residuals, UPPER_LEVEL, method="inverted_cdf", weights=weights)
    named = {name: Term(*map(float, term)) for name, term in zip(names, terms, strict=True)}
    return Fit(Predictor(named, intercept, max(float(np.exp(upper)), 1.0), penalty), np.exp(tried[penalty]))


def _left_out(values: Array, logs: Array, weights: Array, groups: NDArray[np.str_], penalty: float) -> Array:
    found = np.empty_like(logs)
    for group in np.unique(groups):
        own = groups == group
        terms, intercept = _ridge(values[~own], logs[~own], weights[~own], penalty)
        low, high, mean, deviation, coefficients = terms.T
        found[own] = intercept + (np.clip(values[own], low, high) - mean) / deviation @ coefficients
    return found


def _ridge(values: Array, logs: Array, weights: Array, penalty: float) -> tuple[Array, float]:
    """Fields of :class:`Term` of each sign (M, 5), and the intercept (Hoerl and Kennard 1970, equation 2.1, weighted).

    Weights are scaled to a mean of 1, so that a penalty means the same whatever they are.
    """
    shares = weights / weights.mean()
    low, high, mean = values.min(0), values.max(0), np.average(values, axis=0, weights=shares)
    deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=shares))
    deviation = np.where(deviation > 1.0e-9, deviation, 1.0)
    scaled, level = (values - mean) / deviation, float(np.average(logs, weights=shares))
    squares = scaled.T @ (shares[:, None] * scaled) + penalty * np.eye(scaled.shape[1])
    coefficients = np.linalg.solve(squares, scaled.T @ (shares * (logs - level)))
    return np.stack([low, high, mean, deviation, coefficients], axis=1), level

"""Scores of a classification, one class against the rest, and their confidence intervals under cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

LEVEL = 0.95


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
    return matrix


def classification_scores(matrix: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Sensitivity and specificity, one against the rest, of each class and overall, and the balanced accuracy.

    Overall values are means over the classes weighted by their number of cases, so that the overall sensitivity is the
    accuracy; the balanced accuracy is the unweighted mean of the sensitivities. A class without cases has the
    sensitivity NaN, which means exclude, and likewise the specificity of a class that all cases belong to.

    Args:
        matrix: counts (K, K), rows the true class, columns the predicted one.
        classes: names in order.
    """
    counts = np.asarray(matrix, float)
    right, cases = counts.diagonal(), counts.sum(axis=1)
    others = counts.sum() - cases
    with np.errstate(invalid="ignore"):
        own, rest = right / cases, (others - counts.sum(axis=0) + right) / others
    scores = {
        "sensitivity": _weighted(own, cases),
        "specificity": _weighted(rest, cases),
        "balanced_accuracy": float(np.nanmean(own)),
    }
    for name, sensitivity, specificity in zip(classes, own, rest, strict=True):
        scores |= {f"sensitivity_{name}": float(sensitivity), f"specificity_{name}": float(specificity)}
    return scores


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    defined = np.isfinite(values)
    return float(np.average(values[defined], weights=weights[defined]))


class ConfidenceInterval(NamedTuple):
    """A mean with its confidence interval; NaN where there are fewer than two values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def confidence_interval(values: Sequence[float], folds: int) -> ConfidenceInterval:
    """Mean over folds and seeds with its 95% interval by the corrected resampled t statistic.

    The variance of J values is multiplied by 1/J + n_test/n_train rather than 1/J, since training sets of different
    folds overlap (Nadeau and Bengio 2003; Bouckaert and Frank 2004 for repeated cross-validation).

    Args:
        values: J scores, one a fold and seed; NaN (a fold without the class) is excluded.
        folds: k, so that n_test / n_train = 1 / (k - 1).
    """
    scores = np.asarray([value for value in values if math.isfinite(value)], float)
    if scores.size < 2:
        return ConfidenceInterval(float(scores.mean()) if scores.size else math.nan, math.nan, math.nan)
    variance = scores.var(ddof=1) * (1 / scores.size + 1 / (folds - 1))
    half = float(t.ppf((1 + LEVEL) / 2, scores.size - 1) * math.sqrt(variance))
    return ConfidenceInterval(float(scores.mean()), float(scores.mean()) - half, float(scores.mean()) + half)

"""Confidence intervals of cross-validated scores, corrected for overlapping training sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95


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

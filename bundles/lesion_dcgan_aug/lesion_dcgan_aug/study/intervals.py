"""Means of cross-validated scores with confidence intervals that know that folds share their training cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean with its confidence interval; NaN where there are fewer than two values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def interval(values: Sequence[float], folds: int) -> Interval:
    """Mean over folds and seeds, and its interval by the corrected resampled t statistic.

    The variance of J values is multiplied by 1/J + n_test/n_train rather than 1/J, since training sets of different
    folds overlap (Nadeau and Bengio 2003; Bouckaert and Frank 2004 for repeated cross-validation).

    Args:
        values: J scores, one a fold and seed; those that are NaN (a fold without the class) are left out.
        folds: k, so that n_test / n_train = 1 / (k - 1).
    """
    scores = np.asarray([value for value in values if math.isfinite(value)], float)
    if scores.size < 2:
        return Interval(float(scores.mean()) if scores.size else math.nan, math.nan, math.nan)
    variance = scores.var(ddof=1) * (1 / scores.size + 1 / (folds - 1))
    half = float(t.ppf((1 + LEVEL) / 2, scores.size - 1) * math.sqrt(variance))
    return Interval(float(scores.mean()), float(scores.mean()) - half, float(scores.mean()) + half)

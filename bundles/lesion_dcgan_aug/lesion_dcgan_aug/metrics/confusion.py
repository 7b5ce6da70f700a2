"""Measures of a classifier from its confusion matrix, one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
    return matrix


def sensitivities(matrix: ArrayLike) -> NDArray[np.float64]:
    """Of each class (K,), the part of its cases that are found; NaN for a class without cases."""
    counts = np.asarray(matrix, float)
    return _ratio(counts.diagonal(), counts.sum(axis=1))


def specificities(matrix: ArrayLike) -> NDArray[np.float64]:
    """Of each class (K,), the part of the other classes' cases that are not taken for it; NaN without such cases."""
    counts = np.asarray(matrix, float)
    others = counts.sum() - counts.sum(axis=1)
    false = counts.sum(axis=0) - counts.diagonal()
    return _ratio(others - false, others)


def classification_scores(matrix: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Sensitivity and specificity, one against the rest, of each class and overall, and the balanced accuracy.

    Overall is the mean over the classes weighted by their cases, so that the overall sensitivity is the accuracy; the
    balanced accuracy is the plain mean of the sensitivities. Classes without cases are left out of means.
    """
    counts = np.asarray(matrix, float)
    own, rest = sensitivities(counts), specificities(counts)
    weights = counts.sum(axis=1)
    scores = {
        "sensitivity": _weighted(own, weights),
        "specificity": _weighted(rest, weights),
        "balanced_accuracy": float(np.nanmean(own)),
    }
    for name, sensitivity, specificity in zip(classes, own, rest, strict=True):
        scores |= {f"sensitivity_{name}": float(sensitivity), f"specificity_{name}": float(specificity)}
    return scores


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    there = np.isfinite(values)
    return float((values * weights)[there].sum() / weights[there].sum())

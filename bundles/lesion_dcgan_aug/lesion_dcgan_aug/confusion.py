"""Classification metrics from a confusion matrix, one class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric
from numpy.typing import ArrayLike, NDArray


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """Counts (K, K): rows are the true class, columns the predicted one."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
    return matrix


def sensitivities(matrix: ArrayLike) -> NDArray[np.float64]:
    """Sensitivity (recall) of each class (K,); NaN for a class without cases."""
    return _one_against_rest("sensitivity", matrix)


def specificities(matrix: ArrayLike) -> NDArray[np.float64]:
    """Specificity of each class (K,); NaN where all cases belong to the class."""
    return _one_against_rest("specificity", matrix)


def classification_scores(matrix: ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """Sensitivity and specificity, one against the rest, of each class and overall, and the balanced accuracy.

    Overall values are means over the classes weighted by their number of cases, so that the overall sensitivity is the
    accuracy; the balanced accuracy is the unweighted mean of the sensitivities. Means exclude classes without cases.

    Args:
        matrix: counts (K, K), rows the true class, columns the predicted one.
        classes: names in order.
    """
    own, rest = sensitivities(matrix), specificities(matrix)
    weights = np.asarray(matrix, float).sum(axis=1)
    scores = {
        "sensitivity": _weighted(own, weights),
        "specificity": _weighted(rest, weights),
        "balanced_accuracy": float(np.nanmean(own)),
    }
    for name, sensitivity, specificity in zip(classes, own, rest, strict=True):
        scores |= {f"sensitivity_{name}": float(sensitivity), f"specificity_{name}": float(specificity)}
    return scores


def _one_against_rest(metric: str, matrix: ArrayLike) -> NDArray[np.float64]:
    """A metric of MONAI's ``compute_confusion_matrix_metric`` for each class (K,)."""
    counts = torch.as_tensor(np.asarray(matrix, float))
    true_positive = counts.diagonal()
    false_positive, false_negative = counts.sum(0) - true_positive, counts.sum(1) - true_positive
    true_negative = counts.sum() - true_positive - false_positive - false_negative
    four = torch.stack([true_positive, false_positive, true_negative, false_negative], dim=-1)
    return compute_confusion_matrix_metric(metric, four).numpy()


def _weighted(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    defined = np.isfinite(values)
    return float(np.average(values[defined], weights=weights[defined]))

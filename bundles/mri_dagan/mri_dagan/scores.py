"""Errors of a restored MR, whose scanner's unit is arbitrary."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from common.metrics import mae, score
from common.metrics.masked import checked_volumes

PERCENTILE = 99.5
"""Of the truth inside the mask: what is bright, in percent."""


def relative_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """The scores of :func:`common.metrics.score` with a range from 0 to a percentile of the truth, and ``nmae``.

    ``mae`` and ``mse`` are in the scanner's unit; ``nmae`` is ``mae`` over that percentile, which compares scanners.

    Args:
        pred: restored or degraded MR (X, Y, Z).
        truth: (X, Y, Z) in the same unit, not negative.
        mask: the head (X, Y, Z), above 0 inside.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`.
        ConfigError: the percentile of the truth is not above 0.
    """
    scores = score(pred, truth, mask, (0.0, _brightness(truth, mask)))
    return {**scores, "nmae": relative_mae(pred, truth, mask)}


def relative_mae(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """``nmae`` of :func:`relative_scores`."""
    return mae(pred, truth, mask) / _brightness(truth, mask)


def _brightness(truth: ArrayLike, mask: ArrayLike) -> float:
    _, real, inside = checked_volumes(truth, truth, mask)
    return float(np.percentile(real[inside], PERCENTILE))

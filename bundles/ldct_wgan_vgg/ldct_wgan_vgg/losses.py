"""An error in which a few patches with strong noise do not outweigh all others."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SQUARED_ERROR = 1.0e-7
"""[chosen] added to squared errors, that of .6 HU in a window of 4000: the root has no gradient at 0."""


def root_mean_squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error of each patch, averaged over the batch: the measure that is reported.

    A mean of squared errors is that of the strongest noise, so that images with little are blurred.

    Args:
        prediction: restored patches (B, 1, H, W) in [-1, 1].
        target: the same at full dose.
    """
    errors = torch.square(prediction - target).mean((1, 2, 3))
    return torch.sqrt(errors + LEAST_SQUARED_ERROR).mean()

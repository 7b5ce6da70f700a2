"""A squared error in which strong and weak noise weigh the same."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_ERROR = 1.0e-6
"""[chosen] squared error of an input without noise: that of 2 HU in a window of 4000."""


def relative_squared_error(prediction: Tensor, target: Tensor, image: Tensor) -> Tensor:
    """Squared error of each restored patch over that of its low-dose patch, averaged over the batch: 1 is no gain.

    A plain mean is that of the strongest noise, so that images with little are blurred.

    Args:
        prediction: restored patches (B, 1, H, W) in [-1, 1].
        target: the same at full dose.
        image: slabs (B, C, H, W) at low dose, whose central slice is compared.
    """
    central = image[:, image.shape[1] // 2].unsqueeze(1)
    errors, before = (torch.square(each - target).mean((1, 2, 3)) for each in (prediction, central))
    return (errors / (before + LEAST_ERROR)).mean()

"""Losses of DAGAN, and of the methods that thin slices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from common.losses.distances import at_least_float32, require_same_shape


def frequency_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the magnitudes of two images' Fourier transforms (Yang et al. 2018, eq. 6).

    Images (B, C, H, W) in [-1, 1] are taken as [0, 1], as by the code of the authors. The transform is orthonormal, so
    that the value does not depend on the size; theirs is not, which makes it H W times as large.
    ``monai.losses.JukeboxLoss`` has the square root of a sum of squares, whose gradient is not finite where a frequency
    has no power, as in an empty slice; it also transforms across channels.

    Raises:
        ValueError: for images of different shapes.
    """
    require_same_shape(pred, target)
    spectra = [torch.fft.fft2((at_least_float32(image) + 1) / 2, norm="ortho").abs() for image in (pred, target)]
    return F.mse_loss(*spectra)


def slice_variation(pred: Tensor, target: Tensor) -> Tensor:
    """Sum of the mean squared differences of neighbouring slices of restored volumes (B, C, X, Y, Z) alone.

    Source: the total variation of Li et al. 2017; slices are those across the last axis, axial in RAS order.
    """
    return pred.diff(dim=4).square().mean(dim=(0, 1, 2, 3)).sum()

"""Losses of DAGAN, and of the methods that thin slices and remove noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from common.losses import Distance
from common.losses.distances import at_least_float32, require_same_shape
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan


class Dagan(ConditionalGan):
    """L = alpha L_pixel + beta L_frequency + gamma L_perceptual + L_adversarial (Yang et al. 2018, eq. 8).

    The discriminator sees the restored image alone. Named losses: ``adversarial``, ``l2`` = E (G(x) - y)^2,
    ``frequency`` (:func:`frequency_distance`), ``perceptual``, ``slice_variation`` (:func:`slice_variation`, of
    volumes), ``discriminator`` and, with a gradient penalty, ``discriminator_penalty``. Slabs (B, C, H, W) to slices
    (B, 1, H, W), or volumes (B, 1, X, Y, Z) to such.

    Args:
        perceptual: of two images, such as :class:`common.losses.PerceptualDistance`.
        **settings: arguments of :class:`common.methods.conditional.ConditionalGan`, but for ``conditional``.
    """

    def __init__(self, *, perceptual: Distance, **settings: Any) -> None:
        super().__init__(**settings, conditional=False)
        self.perceptual = perceptual

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Differences of pixels, frequencies and features from the truth, and of neighbouring restored slices."""
        found: dict[str, Distance] = {"l2": F.mse_loss, "frequency": frequency_distance, "perceptual": self.perceptual}
        losses = {name: distance(pred, batch["label"]) for name, distance in found.items() if self.uses(name)}
        if self.uses("slice_variation"):
            losses["slice_variation"] = slice_variation(pred)
        return losses


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


def slice_variation(pred: Tensor) -> Tensor:
    """Sum of the mean squared differences of neighbouring slices of restored volumes (B, C, X, Y, Z).

    Source: the total variation of Li et al. 2017; slices are those across the last axis, axial in RAS order.
    """
    return pred.diff(dim=4).square().mean(dim=(0, 1, 2, 3)).sum()

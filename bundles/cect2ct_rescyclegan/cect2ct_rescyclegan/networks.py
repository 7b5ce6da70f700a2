"""Residual generator of the CycleGAN; the patch discriminators are those of pix2pix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.unet import UNetGenerator

__all__ = ["PatchGanDiscriminator", "ResidualGenerator", "UNetGenerator"]


class ResidualGenerator(nn.Module):
    """G(x) = x + r(x), with r = 0 wherever x lies outside the training window.

    The input (B, 1, H, W) is HU scaled so that the window becomes [-1, 1], and not clipped: values outside, such as
    bone and metal, are passed through unchanged. The output has the input's scale. The last convolution starts at zero,
    so that the generator starts as the identity.

    Args:
        unet: r, one channel to one, without a bound on its output.
        least_change: in HU; in evaluation r is 0 where it is smaller, so that tissue without contrast medium stays
            as it is. Training sees all of r.
        window: the training window in HU, the unit of ``least_change``.
    """

    def __init__(self, unet: nn.Module, least_change: float = 0.0, window: Sequence[float] = (-50.0, 550.0)) -> None:
        super().__init__()
        self.least_change = 2 * least_change / (window[1] - window[0])
        self.unet = unet
        *_, last = (layer for layer in unet.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Synthetic image on the input's scale."""
        residual = self.unet(x.clamp(-1, 1))
        changed = x.abs() <= 1
        if self.least_change and not self.training:
            changed = changed & (residual.abs() >= self.least_change)
        return x + torch.where(changed, residual, torch.zeros_like(residual))

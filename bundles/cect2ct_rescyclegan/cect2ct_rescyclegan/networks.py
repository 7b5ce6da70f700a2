"""Residual generator of the CycleGAN; the patch discriminators are those of pix2pix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.unet import UNetGenerator

__all__ = ["PatchGanDiscriminator", "ResidualGenerator"]


class ResidualGenerator(nn.Module):
    """G(x) = x + r(x), with r a U-Net and r = 0 wherever x lies outside the training window.

    The input (B, 1, H, W) is HU scaled so that the window becomes [-1, 1], and not clipped: values outside, such as
    bone and metal, are passed through unchanged. The output has the input's scale. The last convolution starts at zero,
    so that the generator starts as the identity.

    Args:
        depth: number of downsampling steps.
        width: features of the outermost level.
        upsampling: ``transposed`` or ``resize``, see :class:`common.networks.unet.UNetGenerator`.
        least_change: in HU; in evaluation r is 0 where it is smaller, so that tissue without contrast medium stays
            as it is. Training sees all of r.
        window: the training window in HU, the unit of ``least_change``.
    """

    def __init__(
        self,
        depth: int = 8,
        width: int = 64,
        upsampling: str = "transposed",
        least_change: float = 0.0,
        window: Sequence[float] = (-50.0, 550.0),
    ) -> None:
        super().__init__()
        self.least_change = 2 * least_change / (window[1] - window[0])
        self.unet = UNetGenerator(1, 1, depth, width, dropout=0.0, upsampling=upsampling, bounded=False)
        *_, last = self.unet.decoder[-1].children()
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Synthetic image on the input's scale."""
        residual = self.unet(x.clamp(-1, 1))
        changed = x.abs() <= 1
        if self.least_change and not self.training:
            changed = changed & (residual.abs() >= self.least_change)
        return x + torch.where(changed, residual, torch.zeros_like(residual))

"""Residual generator of the CycleGAN; the patch discriminators are those of pix2pix."""

from __future__ import annotations

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
    """

    def __init__(self, depth: int = 8, width: int = 64, upsampling: str = "transposed") -> None:
        super().__init__()
        self.unet = UNetGenerator(1, 1, depth, width, dropout=0.0, upsampling=upsampling, bounded=False)
        *_, last = self.unet.decoder[-1].children()
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Synthetic image on the input's scale."""
        residual = self.unet(x.clamp(-1, 1))
        return x + torch.where(x.abs() <= 1, residual, torch.zeros_like(residual))

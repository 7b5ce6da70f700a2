"""Random convolutional features of patches, for kernel distances without downloaded weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (16, 32, 64, 128)
CALIBRATION = 64
"""Number of random textures that standardise the features."""


class RandomFeatures(nn.Module):
    """Feature extractor: an untrained convolutional network with weights from a fixed seed.

    Random networks are recommended feature extractors for images unlike natural ones (Naeem et al. 2020). Each of four
    layers (3x3, stride 2, orthogonal rows, leaky ReLU) gives the mean and the logarithm of the standard deviation of
    its maps over the patch. Features are standardised by random textures of several scales, so that values are
    comparable between datasets: (N, 1, H, W) in [-1, 1] -> (N, 480).
    """

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        before = 1
        for number, width in enumerate(WIDTHS):
            weight = torch.empty(width, before, 3, 3)
            nn.init.orthogonal_(weight, gain=2**0.5, generator=generator)
            self.register_buffer(f"weight_{number}", weight)
            before = width
        textures = self._pooled(_textures(generator))
        self.register_buffer("centre", textures.mean(0))
        self.register_buffer("spread", textures.std(0))

    def forward(self, patches: Tensor) -> Tensor:
        """Features of a batch."""
        return (self._pooled(patches) - self.get_buffer("centre")) / self.get_buffer("spread")

    @torch.no_grad()
    def _pooled(self, x: Tensor) -> Tensor:
        pooled = []
        for number in range(len(WIDTHS)):
            padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
            x = F.leaky_relu(F.conv2d(padded, self.get_buffer(f"weight_{number}"), stride=2), 0.2)
            pooled += [x.mean((2, 3)), (x.std((2, 3)) + 1e-3).log()]
        return torch.cat(pooled, dim=1)


def _textures(generator: torch.Generator) -> Tensor:
    """Random textures (N, 1, 64, 64) in [-1, 1]: a constant plus noise of four scales and random strengths."""
    total = torch.rand(CALIBRATION, 1, 1, 1, generator=generator) * 2 - 1
    for side in (64, 32, 16, 4):
        noise = torch.randn(CALIBRATION, 1, side, side, generator=generator)
        strength = 10 ** (-2 * torch.rand(CALIBRATION, 1, 1, 1, generator=generator))
        total = total + strength * F.interpolate(noise, (64, 64), mode="bicubic")
    return total.clamp(-1, 1)

"""Networks of the overlays: a generator that also takes noise, two discriminators as one; two resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.networks.cascade import Cascade
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.unet import UNetGenerator


class NoisyUNet(nn.Module):
    """U-Net with a channel of noise next to its input: N(0, 1) in training, 0 in inference, which is then one image.

    Input (B, C, H, W) with sides divisible by ``2 ** depth``; output (B, 1, H, W) in [-1, 1].

    Args:
        in_channels: of the source, without the noise.
        depth, width, norm: of :class:`common.networks.unet.UNetGenerator`.
    """

    def __init__(self, in_channels: int = 2, depth: int = 8, width: int = 64, norm: str = "batch") -> None:
        super().__init__()
        self.unet = UNetGenerator(in_channels + 1, 1, depth, width, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise the target."""
        noise = torch.randn_like(x[:, :1]) if self.training else torch.zeros_like(x[:, :1])
        made: Tensor = self.unet(torch.cat([x, noise], dim=1))
        return made


class TwoDiscriminators(nn.Module):
    """One patch discriminator of source and target, one of mask and target (Han and Yin 2017 have two).

    Input (B, 3, H, W): source, mask of the cells, target; output (B, 1, 2 H', W'), the logits of both.

    Args:
        width: features of the first layer of each.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.of_source = PatchGanDiscriminator(2, width)
        self.of_mask = PatchGanDiscriminator(2, width)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every patch being real, by both."""
        source, mask, target = x[:, :1], x[:, 1:2], x[:, 2:]
        pairs = (torch.cat([source, target], dim=1), torch.cat([mask, target], dim=1))
        return torch.cat([self.of_source(pairs[0]), self.of_mask(pairs[1])], dim=2)


class LowThenFull(Cascade):
    """A U-Net at half the resolution, then one at the full one that also sees what the first made, of ultrasound.

    Input (B, C, H, W) with sides divisible by ``2 ** depth``; output (B, 1, H, W) in [-1, 1].

    Args:
        in_channels: of the source.
        depth, width: of :class:`common.networks.unet.UNetGenerator` at the full resolution.
    """

    def __init__(self, in_channels: int = 2, depth: int = 8, width: int = 64) -> None:
        low = UNetGenerator(in_channels, 1, depth - 1, width)
        halved = nn.Sequential(nn.AvgPool2d(2), low, nn.Upsample(scale_factor=2, mode="bilinear"))
        super().__init__([halved, UNetGenerator(in_channels + 1, 1, depth, width)], in_channels)


class LowDiscriminator(PatchGanDiscriminator):
    """Patch discriminator of pictures (B, C, H, W) at half their resolution."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every patch being real."""
        logits: Tensor = super().forward(nn.functional.avg_pool2d(x, 2))
        return logits

"""Networks of pix2pix and of its unpaired variant, at their published size by default."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Norm
from monai.networks.nets import BasicUNet
from torch import Tensor, nn
from torch.nn import functional as F

from common.networks.initialisation import normal_
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.residual_unet import ResidualUNet
from common.networks.strict_loading import refuse_other_weights
from common.networks.unet import UNetGenerator, require_norm

__all__ = [
    "HalvedUNet",
    "PatchGanDiscriminator",
    "ResidualUNet",
    "ResnetGenerator",
    "UNetGenerator",
]


class ResnetGenerator(nn.Module):
    """Generator of residual blocks at a quarter of the resolution (Zhu et al. 2017, section 7.2).

    By default c7s1-64, d128, d256, nine blocks R256, u128, u64, c7s1-out, 11.4 M parameters, with which Wolterink et
    al. 2017 translated MR to CT. No dropout; reflection padding around the kernels of 7 and in the blocks. Input
    (B, C, H, W) in [-1, 1] with sides divisible by ``2 ** depth``; output (B, C', H, W) in [-1, 1].

    Args:
        in_channels: of the source; slices a slab times channels.
        out_channels: of the target.
        depth: halvings of the resolution.
        width: features of the outermost level, doubled at each halving.
        blocks: residual blocks.
        norm: ``instance`` as published, without scale and shift, or ``batch``.

    Raises:
        ConfigError: for another ``norm``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        depth: int = 2,
        width: int = 64,
        blocks: int = 9,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        require_norm(norm)
        features = [width * 2**level for level in range(depth + 1)]
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(in_channels, width, 7, bias=False), norm),
        ]
        for above, below in zip(features[:-1], features[1:], strict=True):
            layers += _normalised(nn.Conv2d(above, below, 3, 2, 1, bias=False), norm)
        layers += [_AddingBlock(features[-1], norm) for _ in range(blocks)]
        for below, above in zip(features[:0:-1], features[-2::-1], strict=True):
            layers += _normalised(nn.ConvTranspose2d(below, above, 3, 2, 1, output_padding=1, bias=False), norm)
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        normal_(self)
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise the target slice."""
        made: Tensor = self.layers(x)
        return made


class _AddingBlock(nn.Module):
    """x + r(x), with two convolutions of one width."""

    def __init__(self, count: int, norm: str) -> None:
        super().__init__()
        first = _normalised(nn.Conv2d(count, count, 3, bias=False), norm)
        second = _normalised(nn.Conv2d(count, count, 3, bias=False), norm)[:-1]
        self.layers = nn.Sequential(nn.ReflectionPad2d(1), *first, nn.ReflectionPad2d(1), *second)

    def forward(self, x: Tensor) -> Tensor:
        difference: Tensor = self.layers(x)
        return x + difference


def _normalised(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: str) -> list[nn.Module]:
    """A convolution without bias, which the normalisation would remove, the normalisation and ReLU."""
    return [convolution, Norm[norm, 2](convolution.out_channels), nn.ReLU()]


class HalvedUNet(nn.Module):
    """MONAI's U-Net on blocks of 2 x 2 pixels as channels, then two convolutions of all pixels: a quarter of the work.

    Input (B, C, H, W) with sides divisible by 32, output (B, 1, H, W), any number.

    Args:
        in_channels: slices of a slab.
        width: features of the U-Net's first level; 2, 4, 8 and 8 times as many on the way down.
        fine: features a pixel of the two convolutions.
    """

    def __init__(self, in_channels: int = 5, width: int = 24, fine: int = 8) -> None:
        super().__init__()
        features = (width, 2 * width, 4 * width, 8 * width, 8 * width, width)
        self.coarse = BasicUNet(2, 4 * in_channels, 4 * fine, features=features)
        self.fine = nn.Sequential(
            nn.Conv2d(in_channels + fine, 2 * fine, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(2 * fine, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Synthesise the central slice of slabs."""
        shown = F.pixel_shuffle(self.coarse(F.pixel_unshuffle(x, 2)), 2)
        image: Tensor = self.fine(torch.cat([x, shown], dim=1))
        return image

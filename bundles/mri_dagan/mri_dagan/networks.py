"""Generator and discriminator of DAGAN; the 3-D generators of thin slices and of denoising; the unrolled network."""

from __future__ import annotations

import torch
from monai.networks.blocks import ResidualUnit
from torch import Tensor, nn

from common.networks.initialisation import normal_
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.stabilise import stabilise
from common.networks.strict_loading import refuse_other_weights
from common.networks.unet import UNetGenerator
from mri_dagan.unrolled import UnrolledNetwork

__all__ = [
    "EncoderDecoder", "PatchGanDiscriminator", "RefinedUNet", "ResidualChain", "SliceDiscriminator", "UnrolledNetwork",
]  # fmt: skip

HALVINGS = 6
"""Convolutions of stride 2 in the discriminator."""
SAME = (1, 2, 1, 2)
"""Their padding, by which they halve every side, rounded up, as in the code of the authors."""
HEAD_SIDE = 4
"""Pixels a side that its fully connected layer sees: a slice of 256 after six halvings."""
RED_GROWTH = (1, 2, 4, 8)
"""Features of the encoder of RED-WGAN in multiples of its width: 32, 64, 128 and 256."""


class RefinedUNet(nn.Module):
    """The U-Net with a refinement connection: G(x) = clip(U(x) + x) (Yang et al. 2018, section III-B, eq. 9).

    U is :class:`common.networks.unet.UNetGenerator` without dropout, 4x4 convolutions of stride 2 with batch
    normalisation, 64-128-256-512x5 features for a slice of 256x256, and ends in tanh. Its last layer starts at 0, so
    that the network starts as the identity. Input (B, C, H, W), slices of a slab, sides divisible by ``2 ** depth``,
    -1 air and 1 the brightness that the preprocessing scales by; output (B, 1, H, W), the restored central slice on the
    same scale.

    Args:
        in_channels: slices of the slab.
        depth: halvings of the resolution.
        width: features of the outermost level.
        norm: ``batch`` as published, or ``instance``.
        highest: the clip's upper end; 1 as published for images scaled by their maximum, None for none, so that nothing
            bright is cut. Below, it clips to air, -1.

    Raises:
        ConfigError: for another ``norm``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        depth: int = 8,
        width: int = 64,
        norm: str = "batch",
        highest: float | None = None,
    ) -> None:
        super().__init__()
        self.centre = in_channels // 2
        self.highest = highest
        self.unet = UNetGenerator(in_channels, 1, depth, width, dropout=0.0, norm=norm)
        _start_at_zero(self.unet.decoder[-1])
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The restored slice."""
        refined = self.unet(x) + x[:, self.centre : self.centre + 1]
        return torch.clamp(refined, min=-1.0, max=self.highest)


class SliceDiscriminator(nn.Module):
    """Scores a slice as a whole (Yang et al. 2018, section III-B, with the numbers of the code of its authors).

    Six 4x4 convolutions of stride 2 with 64-128-256-512-1024-2048 features, two of 1x1 with 1024 and 512, a residual
    block (1x1 and 3x3 with 128, 3x3 with 512 features), one fully connected layer; batch normalisation in all
    convolutions but the first, leaky ReLU of 0.2. The fully connected layer takes 4x4 pixels, a slice of 256x256;
    features of another size are interpolated to them. Input (B, C, H, W), several slices a batch where a side
    is below 128, since one pixel has no variance; output (B, 1), the logit of its being fully sampled.

    Args:
        in_channels: of the slice.
        width: features of the first layer.
        norm: of all convolutions but the first: ``batch`` as published, ``instance`` or ``none``.
        spectral_norm: divide each layer's weights by their largest singular value.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 64,
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.ZeroPad2d(SAME), nn.Conv2d(in_channels, width, 4, 2), nn.LeakyReLU(0.2)]
        counts = [width * 2**level for level in range(HALVINGS)]
        for before, count in zip(counts[:-1], counts[1:], strict=True):
            blocks += [nn.ZeroPad2d(SAME), nn.Conv2d(before, count, 4, 2, bias=False)]
            blocks += [nn.BatchNorm2d(count), nn.LeakyReLU(0.2)]
        blocks += [*_normed(counts[5], counts[4], 1), nn.LeakyReLU(0.2), *_normed(counts[4], counts[3], 1)]
        inner = nn.Sequential(
            *(*_normed(counts[3], counts[1], 1), nn.LeakyReLU(0.2)),
            *(*_normed(counts[1], counts[1], 3), nn.LeakyReLU(0.2)),
            *_normed(counts[1], counts[3], 3),
        )
        head = [
            nn.Upsample((HEAD_SIDE, HEAD_SIDE), mode="bilinear"),
            nn.Flatten(),
            nn.Linear(counts[3] * HEAD_SIDE**2, 1),
        ]
        self.layers = nn.Sequential(*blocks, _Shortcut(inner), nn.LeakyReLU(0.2), *head)
        normal_(self)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """The logit of each slice."""
        patches: Tensor = self.layers(x)
        return patches


class _Shortcut(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + self.inner(x)


class ResidualChain(nn.Module):
    """3-D residual units between two volumes of one grid, whose sum is added to the input (after Li et al. 2017).

    Input (B, 1, X, Y, Z) of any size on the scale of :class:`RefinedUNet`, thick slices interpolated onto thin ones;
    output alike, the thin slices, not clipped. The last layer starts at 0, so that the network starts as the identity.

    Args:
        blocks: number of units of two 3x3x3 convolutions, batch normalisation and leaky ReLU each.
        width: features of each.
    """

    def __init__(self, blocks: int = 6, width: int = 32) -> None:
        super().__init__()
        act = ("leakyrelu", {"negative_slope": 0.2})
        units = [ResidualUnit(3, width if number else 1, width, act=act, norm="batch") for number in range(blocks)]
        self.layers = nn.Sequential(*units, nn.Conv3d(width, 1, 3, padding=1))
        _start_at_zero(self.layers[-1])
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The thin slices."""
        restored: Tensor = x + self.layers(x)
        return restored


class EncoderDecoder(nn.Module):
    """Four 3-D convolutions and four transposed ones with shortcuts between them (RED-WGAN, Ran et al. 2019).

    Kernels of 3x3x3 at stride 1, padded, 32-64-128-256-128-64-32-1 features, batch normalisation and leaky ReLU; the
    output of each convolution is added to that of the transposed one of its size, and the input to the output. Input
    and output as those of :class:`ResidualChain`; the last layer starts at 0 too.

    Args:
        width: features of the first layer.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        counts = [1, *(width * factor for factor in RED_GROWTH)]
        pairs = list(zip(counts[:-1], counts[1:], strict=True))
        self.encoder = nn.ModuleList([_layer(nn.Conv3d(before, count, 3, padding=1)) for before, count in pairs])
        turned = [nn.ConvTranspose3d(count, before, 3, padding=1) for before, count in reversed(pairs)]
        self.decoder = nn.ModuleList([*map(_layer, turned[:-1]), turned[-1]])
        _start_at_zero(self.decoder[-1])
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The denoised volume."""
        kept = [x]
        for layer in self.encoder:
            kept.append(layer(kept[-1]))
        made = kept[-1]
        for number, layer in enumerate(self.decoder):
            made = layer(made) + kept[len(kept) - 2 - number]
        return made


class PerfusionNetwork(nn.Sequential):
    """Three fully connected layers on the curves of one pixel: no neighbourhood, as in the deconvolution of DSC MR.

    Input (B, C, H, W), output (B, 1, H, W), of any size.

    Args:
        in_channels: C, time points of tissue and artery.
        width: units of the hidden layers.
    """

    def __init__(self, in_channels: int, width: int = 128) -> None:
        hidden = [nn.Conv2d(in_channels, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU()]
        super().__init__(*hidden, nn.Conv2d(width, 1, 1))
        refuse_other_weights(self)


def _normed(before: int, count: int, kernel: int) -> list[nn.Module]:
    """A convolution of stride 1, and its batch normalisation."""
    return [nn.Conv2d(before, count, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(count)]


def _layer(convolution: nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm3d(convolution.out_channels), nn.LeakyReLU(0.2))


def _start_at_zero(layer: nn.Module) -> None:
    """Zeros in a convolution, or in a layer whose only parameters are those of one."""
    for value in layer.parameters():
        nn.init.zeros_(value)

"""Dilated generator, auto-context cascade and patch discriminator, at their published sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.errors import ConfigError
from common.networks.cascade import Cascade, SingleStage
from common.networks.initialisation import normal_
from common.networks.residual_unet import ResidualUNet
from common.networks.stabilise import stabilise
from pd2t2_dcgan_acm.dilated.spectral import SpectralConv3d

__all__ = ["AutoContext", "PatchClassifier", "ResidualUNet", "SingleStage"]

KERNELS = (9, 3, 3, 3, 9, 3, 3, 7, 3)
"""Kernel sizes of the nine convolutions; the receptive field is 59 voxels a side, wider than a training patch."""
DILATIONS = (1, 2, 2, 2, 2, 2, 2, 2, 1)
FILTERS = (1, 1, 1, 2, 2, 2, 1, 1)
"""Filters of all but the last convolution, relative to ``width``."""


class DilatedGenerator(nn.Module):
    """Generator of nine 3-D convolutions, seven of them dilated, without pooling (Nie et al. 2018, section III-A).

    Input (B, C, X, Y, Z), output (B, 1, X, Y, Z), both z-scores; any size. 3.64 M parameters at width 32.

    Args:
        in_channels: those of the source, plus the previous output from the second stage of a cascade on.
        width: filters of the first convolution.
        residual: whether to add the source, the first channel, to the output (ResGAN).
    """

    def __init__(self, in_channels: int = 1, width: int = 32, residual: bool = True) -> None:
        super().__init__()
        self.residual = residual
        blocks: list[nn.Module] = []
        count = in_channels
        for kernel, dilation, factor in zip(KERNELS[:-1], DILATIONS[:-1], FILTERS, strict=True):
            padding = kernel // 2 * dilation
            produced = width * factor
            blocks.append(SpectralConv3d(count, produced, kernel, padding=padding, dilation=dilation, bias=False))
            blocks += [nn.BatchNorm3d(produced), nn.LeakyReLU(0.2)]
            count = produced
        self.layers = nn.Sequential(*blocks, nn.Conv3d(count, 1, KERNELS[-1], padding=KERNELS[-1] // 2))
        normal_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Synthetic target."""
        y = self.layers(x)
        return y + x[:, :1] if self.residual else y


class AutoContext(Cascade):
    """Auto-context cascade: each generator sees the source and the previous output (Nie et al. 2018, III-C).

    Input (B, C, X, Y, Z), output (B, 1, X, Y, Z), z-scores. With one stage it is a single generator. ``target_scale``
    (mean and standard deviation of the training targets) is saved with the weights, for export in the target's unit.

    Args:
        stages: number of generators.
        in_channels: of the source.
        width: see :class:`DilatedGenerator`.
        residual: likewise.

    Raises:
        ConfigError: ``stages`` is below 1.
    """

    def __init__(self, stages: int = 2, in_channels: int = 1, width: int = 32, residual: bool = True) -> None:
        if stages < 1:
            raise ConfigError(f"stages is {stages}, below 1", "pass the number of generators")
        super().__init__([DilatedGenerator(in_channels + (k > 0), width, residual) for k in range(stages)], in_channels)
        self.register_buffer("target_scale", torch.tensor([0.0, 1.0]))


class PatchClassifier(nn.Module):
    """Patch discriminator with one logit per patch (Nie et al. 2018, section III-A).

    Four convolutions and three fully connected layers.

    Input (B, C, X, Y, Z) of the size of a training patch, output (B, 1) logits.

    Args:
        in_channels: of the source; the discriminator does not see the context of later stages.
        conditional: whether the discriminator sees the source in addition to the target.
        width: filters of the first convolution.
        patch_size: sides of a patch, multiples of eight.
        norm: of the convolutions: ``batch``, ``instance`` or ``none``.
        spectral_norm: divide each layer's weights by their largest singular value.

    Raises:
        ConfigError: a side of the patch is not a multiple of eight.
    """

    def __init__(
        self,
        in_channels: int = 1,
        conditional: bool = True,
        width: int = 32,
        patch_size: Sequence[int] = (32, 32, 32),
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        if any(side < 8 or side % 8 for side in patch_size):
            fault = f"--patch_size is {list(patch_size)}, and the discriminator halves each side three times"
            raise ConfigError(fault, "give multiples of 8, for example [32, 32, 32]")
        blocks: list[nn.Module] = []
        count = in_channels + 1 if conditional else 1
        for level in range(4):
            produced = width * 2**level
            blocks += [nn.Conv3d(count, produced, 3, padding=1, bias=False), nn.BatchNorm3d(produced)]
            blocks.append(nn.LeakyReLU(0.2))
            if level < 3:
                blocks.append(nn.MaxPool3d(2))
            count = produced
        voxels = int(torch.tensor([side // 8 for side in patch_size]).prod())
        dense = [nn.Linear(count * voxels, width * 16), nn.LeakyReLU(0.2), nn.Linear(width * 16, width * 4)]
        self.layers = nn.Sequential(*blocks, nn.Flatten(), *dense, nn.LeakyReLU(0.2), nn.Linear(width * 4, 1))
        normal_(self)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each patch being real."""
        return self.layers(x)

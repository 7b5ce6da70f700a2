"""The patch discriminator of Isola et al. 2017."""

from __future__ import annotations

from monai.networks.layers.factories import Conv, Norm
from torch import Tensor, nn

from ..errors import ConfigError
from .initialisation import normal_
from .stabilise import stabilise


class PatchGanDiscriminator(nn.Module):
    """Classifies overlapping patches, 70x70 for three layers (Isola et al. 2017, appendix 6.1.2).

    The layers are C64-C128-C256-C512-1. Input (B, C, H, W[, D]), source and target stacked; output (B, 1, H', W'[, D'])
    logits.

    Args:
        in_channels: of source and target together.
        width: features of the first layer.
        layers: number with stride 2; one more and the output follow with stride 1.
        spatial_dims: 2 for slices, 3 for volumes.
        norm: of all layers but the first and the last: ``batch``, ``instance`` or ``none``.
        spectral_norm: divide each layer's weights by their largest singular value.

    Raises:
        ConfigError: in the forward pass, for images without a whole patch.
    """

    def __init__(
        self,
        in_channels: int = 2,
        width: int = 64,
        layers: int = 3,
        spatial_dims: int = 2,
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.least = 3 * 2**layers  # two layers with stride 1 leave one of three voxels
        conv, batch_norm = Conv[Conv.CONV, spatial_dims], Norm[Norm.BATCH, spatial_dims]
        blocks: list[nn.Module] = [conv(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        count = width
        for layer in range(1, layers + 1):
            before, count = count, min(width * 2**layer, width * 8)
            blocks += [conv(before, count, 4, 2 if layer < layers else 1, 1, bias=False), batch_norm(count)]
            blocks.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*blocks, conv(count, 1, 4, 1, 1))
        normal_(self)
        stabilise(self.layers, norm, spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every patch being real."""
        if min(x.shape[2:]) < self.least:
            fault = (
                f"the discriminator gets images of {' x '.join(map(str, x.shape[2:]))}, {self.least} a side are needed"
            )
            raise ConfigError(fault, "raise --crop_size or --patch_size, or lower its layers")
        logits: Tensor = self.layers(x)
        return logits

"""Sketcher and Refiner as one network, the voxel-wise baseline network, and the discriminator."""

from __future__ import annotations

from monai.networks.nets import BasicUNet
from torch import nn

from common.errors import ConfigError
from common.networks.cascade import Cascade, SingleStage
from common.networks.initialisation import normal_
from common.networks.patch_discriminator import PatchGanDiscriminator
from common.networks.residual_unet import ResidualUNet

__all__ = ["PatchGanDiscriminator", "ResidualUNet", "SingleStage", "SketcherRefiner", "VoxelNetwork"]

HIDDEN = 64
"""Units of the hidden layer of the voxel-wise baseline."""
ACTIVATION = ("LeakyReLU", {"negative_slope": 0.2, "inplace": True})


class SketcherRefiner(Cascade):
    """Cascade of two 3-D U-Nets: a sketch of the PET from the MR, refined from MR and sketch (Wei et al. 2019).

    Input (B, C, X, Y, Z) of MR maps, output (B, 1, X, Y, Z) PET, both with their windows scaled to [-1, 1]; any size of
    at least 16 voxels a side. Each U-Net halves the resolution four times.

    Args:
        stages: 2, or 1 for the Sketcher alone.
        in_channels: MR maps.
        width: features at full resolution; 2, 4 and 8 times as many below.

    Raises:
        ConfigError: ``stages`` is neither 1 nor 2.
    """

    def __init__(self, stages: int = 2, in_channels: int = 4, width: int = 32) -> None:
        if stages not in (1, 2):
            raise ConfigError(f"stages is {stages}, not 1 or 2", "choose 1 (Sketcher) or 2 (Sketcher and Refiner)")
        features = (width, width, 2 * width, 4 * width, 8 * width, width)
        super().__init__(
            [BasicUNet(3, in_channels + k, 1, features, act=ACTIVATION, norm="batch") for k in range(stages)],
            in_channels,
        )
        normal_(self)


class VoxelNetwork(Cascade):
    """Voxel-wise baseline of Wei et al. 2018: two fully connected layers on the maps of one voxel.

    Args:
        in_channels: MR maps.
    """

    def __init__(self, in_channels: int = 4) -> None:
        layers = nn.Sequential(nn.Conv3d(in_channels, HIDDEN, 1), nn.ReLU(), nn.Conv3d(HIDDEN, 1, 1))
        super().__init__([layers], in_channels)

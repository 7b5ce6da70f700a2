"""Random classic augmentation of patches: rotation, flip, translation and scale in one interpolation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass
class ClassicAugmentation:
    """Random rotation, flip, translation and scale, another one whenever a patch is seen: for the training of GANs.

    The study's classic sets are those of :class:`lesion_dcgan_aug.classic_grid.ClassicGrid`.

    Args:
        rotation: largest angle in degrees, in both directions.
        flip: whether to mirror half of the patches.
        translation: largest shift along each axis, as a fraction of the side.
        scale: smallest and largest factor on the lesion's size.
    """

    rotation: float = 180.0
    flip: bool = True
    translation: float = 0.06
    scale: tuple[float, float] = (0.85, 1.15)

    def matrices(self, count: int, generator: torch.Generator) -> Tensor:
        """Random affine maps (count, 2, 3) from output to input coordinates, both in [-1, 1]."""
        draw = torch.rand(count, 5, generator=generator)
        angle = (draw[:, 0] * 2 - 1) * math.radians(self.rotation)
        low, high = self.scale
        factor = 1 / (low + (high - low) * draw[:, 1])
        mirror = torch.where((draw[:, 2] < 0.5) & self.flip, -1.0, 1.0)
        shift = (draw[:, 3:] * 2 - 1) * 2 * self.translation
        cos, sin = angle.cos() * factor, angle.sin() * factor
        rows = ([cos * mirror, -sin, shift[:, 0]], [sin * mirror, cos, shift[:, 1]])
        return torch.stack([torch.stack(row, 1) for row in rows], 1)

    def __call__(self, patches: Tensor, generator: torch.Generator) -> Tensor:
        """(N, 1, H, W) in [-1, 1] -> the same shape and range, each patch transformed independently."""
        return warped(patches, self.matrices(len(patches), generator))


def warped(patches: Tensor, maps: Tensor) -> Tensor:
    """Patches (N, 1, H, W) in [-1, 1] under affine maps (N, 2, 3); the patch is mirrored beyond its border.

    Bicubic interpolation keeps most of the noise, so that augmented patches resemble those to be classified.

    Args:
        patches: to move.
        maps: from output to input coordinates, both in [-1, 1] between the outer borders of a patch; x first.
    """
    grid = F.affine_grid(maps, list(patches.shape), align_corners=False)
    moved = F.grid_sample(patches, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return moved.clamp(-1, 1)

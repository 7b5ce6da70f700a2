"""Classic augmentation as published: a grid of views of each lesion; a data set takes equal shares of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from common.errors import ConfigError
from common.seeds import derive
from lesion_dcgan_aug.augment import warped

FLIPS = ((1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
"""Factors on the axes of up-down, left-right, and both."""
MOST_PIXELS = 4.0
SHIFT_SHARE = 0.1
"""A shift is at most min(4 pixels, a tenth of the lesion's diameter) along each axis."""
TISSUE_SHARES = (0.1, 0.4)
"""Range of the tissue shown on each side of the lesion, relative to its diameter."""
BATCH = 256


@dataclass(frozen=True)
class ClassicGrid:
    """Grid of views of a lesion (Frid-Adar et al. 2018): rotated, and each rotated view flipped, shifted or scaled.

    ``rotations * (1 + flips + translations + scales)`` views, 30 * (1 + 3 + 7 + 5) = 480 as published. With the
    lesion's diameter d in pixels: angles are random in [0, 180] degrees, shifts random in [-p, p] along each axis with
    p = min(4, 0.1 d), and scaling shows tissue around the lesion, a random amount from 0.1 d to 0.4 d on each side.

    The patch itself has ``margin`` d on each side, so that d is 64 / (1 + 2 margin) pixels; what lies beyond its border
    is mirrored. A lesion's views depend on its seed only.

    Args:
        rotations: number of angles.
        flips: 0 to 3 of up-down, left-right, both.
        translations: number of shifts of each rotated view.
        scales: number of scales of each rotated view.
        margin: tissue on each side of the lesion in the patches, relative to its diameter; as they were cut.

    Raises:
        ConfigError: a number is out of range.
    """

    rotations: int = 30
    flips: int = 3
    translations: int = 7
    scales: int = 5
    margin: float = 0.2

    def __post_init__(self) -> None:
        numbers = (self.rotations, self.flips, self.translations, self.scales, self.margin)
        if self.rotations < 1 or not all(number >= 0 for number in numbers) or self.flips > len(FLIPS):
            fault = f"--classic_grid has {numbers} rotations, flips, translations, scales and margin"
            raise ConfigError(fault, f"give at least 1 rotation, 0 to {len(FLIPS)} flips, and no negative number")

    @property
    def size(self) -> int:
        """Number of views of a lesion."""
        return self.rotations * (1 + self.flips + self.translations + self.scales)

    def maps(self, side: int, seed: int) -> Tensor:
        """Affine maps (size, 2, 3) of a lesion's views, from output to input coordinates in [-1, 1].

        Args:
            side: of a patch, in pixels.
            seed: of the lesion.
        """
        generator = torch.Generator().manual_seed(seed)
        diameter = side / (1 + 2 * self.margin)
        angles = torch.rand(self.rotations, generator=generator) * math.pi
        cos, sin = angles.cos(), angles.sin()
        turns = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
        each = 1 + self.flips + self.translations + self.scales
        matrices = torch.eye(2).repeat(self.rotations, each, 1, 1)
        shifts = torch.zeros(self.rotations, each, 2, 1)
        for number in range(self.flips):
            matrices[:, 1 + number] = torch.diag(torch.tensor(FLIPS[number]))
        first = 1 + self.flips
        most = min(MOST_PIXELS, SHIFT_SHARE * diameter) * 2 / side
        drawn = torch.rand(self.rotations, self.translations, 2, 1, generator=generator)
        shifts[:, first : first + self.translations] = (2 * drawn - 1) * most
        low, high = ((1 + 2 * share) / (1 + 2 * self.margin) for share in TISSUE_SHARES)
        drawn = torch.rand(self.rotations, self.scales, 1, 1, generator=generator)
        matrices[:, first + self.translations :] *= low + (high - low) * drawn
        return (turns[:, None] @ torch.cat([matrices, shifts], 3)).flatten(0, 1)

    def sample(self, patches: Tensor, total: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Randomly chosen views of lesions in equal shares, none twice; a larger total contains the smaller ones.

        Args:
            patches: one of each lesion, (N, 1, S, S) in [-1, 1].
            total: number of views, at most :attr:`size` of each lesion.
            seeds: of each lesion.

        Returns:
            views (total, 1, S, S) in [-1, 1], and for each the number of its lesion (total,).
        """
        shares = equal_shares(total, len(patches), derive(*seeds))
        maps = []
        for share, seed in zip(shares, seeds, strict=True):
            order = torch.randperm(self.size, generator=torch.Generator().manual_seed(derive(seed)))
            maps.append(self.maps(patches.shape[-1], seed)[order[:share]])
        owners = torch.arange(len(patches)).repeat_interleave(torch.tensor(shares))
        parts = zip(owners.split(BATCH), torch.cat(maps).split(BATCH), strict=True)
        return torch.cat([warped(patches[own], part) for own, part in parts if total] or [patches[:0]]), owners


def equal_shares(total: int, lesions: int, seed: int) -> list[int]:
    """Number of views of each lesion that make up a total: equally many, but for a rest of one each.

    Which lesions have one more follows from the seed. No lesion has fewer in a larger total, so that the larger of two
    data sets contains the smaller.
    """
    ranks = torch.randperm(lesions, generator=torch.Generator().manual_seed(seed)).tolist()
    return [-((rank - total) // lesions) for rank in ranks]

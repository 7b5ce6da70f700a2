"""Number of voxels of each region that a random patch of a case holds on average."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from .patch_positions import last_starts, starts_around

Draws = Sequence[tuple[float, Tensor | None]]
"""Shares of the patches, which sum to 1, and the flat indices (N,) of the voxels that these are centred on; None: all
places are equally probable."""


def disjoint(regions: Sequence[Tensor]) -> list[Tensor]:
    """Regions without overlap, and the rest of the volume behind them; a voxel of several belongs to the first.

    Args:
        regions: booleans (..., X, Y, Z), all of one shape, at least one.
    """
    covered = torch.zeros_like(regions[0], dtype=torch.bool)
    parts = []
    for region in regions:
        parts.append(region & ~covered)
        covered = covered | region
    return [*parts, ~covered]


def expected_counts(regions: Sequence[Tensor], shape: Sequence[int], patch_size: Sequence[int], draws: Draws) -> Tensor:
    """Expected number of voxels of each region, and of the rest, in a patch drawn at random, (regions + 1,) float32.

    It is exact: the mean over all places of a patch, weighted by their probability.

    Args:
        regions: booleans (1, X, Y, Z) of the volume, padded to at least the patch size.
        shape: (X, Y, Z) without padding, inside which patches are drawn.
        patch_size: voxels along X, Y, Z.
        draws: how patches are drawn.
    """
    lasts = last_starts(shape, patch_size)
    expected = []
    for part in disjoint(regions):
        held = _held(part[0], lasts, patch_size).double()
        means = [(share, _mean_at(held, voxels, shape, patch_size)) for share, voxels in draws]
        expected.append(sum(share * mean for share, mean in means))
    return torch.tensor(expected, dtype=torch.float32)


def _held(region: Tensor, lasts: Sequence[int], patch_size: Sequence[int]) -> Tensor:
    """Number of voxels of a region (X, Y, Z) in the patch at every first voxel, by a summed-volume table."""
    table = region.to(torch.int32)
    for axis in range(3):
        table = table.cumsum(dim=axis, dtype=torch.int32)
    table = F.pad(table, (1, 0, 1, 0, 1, 0))
    held = torch.zeros([last + 1 for last in lasts], dtype=torch.int32)
    for corner in product((0, 1), repeat=3):
        firsts = [end * side for end, side in zip(corner, patch_size, strict=True)]
        window = tuple(slice(first, first + last + 1) for first, last in zip(firsts, lasts, strict=True))
        held += (-1) ** (3 - sum(corner)) * table[window]
    return held


def _mean_at(held: Tensor, voxels: Tensor | None, shape: Sequence[int], patch_size: Sequence[int]) -> float:
    """Mean of ``held`` over the patches around some voxels, or over all patches."""
    if voxels is None:
        return float(held.mean())
    places = starts_around(voxels, shape, patch_size)
    return float(held[tuple(map(torch.from_numpy, places))].mean())

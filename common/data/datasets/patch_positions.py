"""Where the patches of a volume lie: the grid that tiles it, a patch around a voxel, and the padding both may need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def cells(shape: Sequence[int], patch_size: Sequence[int]) -> tuple[int, ...]:
    """How many patches without overlap cover a volume along each axis; the last ones may reach beyond its end."""
    return tuple(-(-length // side) for length, side in zip(shape, patch_size, strict=True))


def grid_start(place: int, shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The first voxel of a patch of the grid, counted along the last axis first."""
    cell = np.unravel_index(place, cells(shape, patch_size))
    return [int(number) * side for number, side in zip(cell, patch_size, strict=True)]


def last_starts(shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The largest first voxel along each axis with which a patch lies in the volume; 0 where that is the smaller."""
    return [max(length - side, 0) for length, side in zip(shape, patch_size, strict=True)]


def start_around(voxel: int, shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The first voxel of the patch centred on a voxel (a flat index), shifted inside where it would leave the volume.

    The centre of an even side is the first voxel of its second half.
    """
    centre = np.unravel_index(voxel, tuple(shape))
    firsts = (int(place) - side // 2 for place, side in zip(centre, patch_size, strict=True))
    return [min(max(first, 0), last) for first, last in zip(firsts, last_starts(shape, patch_size), strict=True)]


def voxels_of(region: Tensor | None) -> Tensor:
    """Flat indices of the voxels of a region (1, X, Y, Z) above 0, (N,) int32; none without a region."""
    marked = torch.zeros(0) if region is None else region[0].flatten()
    return torch.nonzero(marked > 0).flatten().to(torch.int32)


def padded(volume: Tensor, shape: Sequence[int], background: bool) -> Tensor:
    """A volume (C, X, Y, Z) filled at its ends to at least a shape: each channel by its minimum, or all by 0.

    Args:
        volume: images, or booleans of regions.
        shape: the smallest accepted.
        background: whether by the minimum, which is background in an image.
    """
    missing = [max(size - length, 0) for size, length in zip(shape, volume.shape[1:], strict=True)]
    if not any(missing):
        return volume
    ends = [pad for end in reversed(missing) for pad in (0, end)]
    return torch.stack([F.pad(part, ends, value=float(part.min()) if background else 0.0) for part in volume])

"""Patch positions: grid of patches, patch around a voxel or in a lesion, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F


def cells(shape: Sequence[int], patch_size: Sequence[int]) -> tuple[int, ...]:
    """Number of patches without overlap that cover a volume along each axis; the last ones may exceed its end."""
    return tuple(-(-length // side) for length, side in zip(shape, patch_size, strict=True))


def grid_start(place: int, shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The first voxel of a patch of the grid; patches are numbered along the last axis first."""
    cell = np.unravel_index(place, cells(shape, patch_size))
    return [int(number) * side for number, side in zip(cell, patch_size, strict=True)]


def last_starts(shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The largest first voxel of a patch inside the volume along each axis; 0 for a volume smaller than the patch."""
    return [max(length - side, 0) for length, side in zip(shape, patch_size, strict=True)]


def start_around(voxel: int, shape: Sequence[int], patch_size: Sequence[int]) -> list[int]:
    """The first voxel of the patch centred on a voxel (flat index), shifted to lie inside the volume.

    The centre of an even side is the first voxel of its second half.
    """
    return [int(first) for first in starts_around(voxel, shape, patch_size)]


def starts_around(voxels: ArrayLike, shape: Sequence[int], patch_size: Sequence[int]) -> list[NDArray[np.int64]]:
    """:func:`start_around` of many voxels (N,): the first voxels along each axis, (N,) each."""
    centres = np.unravel_index(np.asarray(voxels), tuple(shape))
    lasts = last_starts(shape, patch_size)
    return [np.clip(place - side // 2, 0, last) for place, side, last in zip(centres, patch_size, lasts, strict=True)]


def voxels_of(region: Tensor | None) -> Tensor:
    """Flat indices of the voxels of a region (1, X, Y, Z) above 0, (N,) int32; empty without a region."""
    marked = torch.zeros(0) if region is None else region[0].flatten()
    return torch.nonzero(marked > 0).flatten().to(torch.int32)


def lesions_of(region: Tensor | None) -> list[Tensor]:
    """Flat indices of the voxels of each lesion of a region (1, X, Y, Z), (N,) int32 each; no lesion without a region.

    A lesion is a connected component of the voxels above 0; voxels that touch at a corner are connected.
    """
    if region is None:
        return []
    components, count = ndimage.label(region[0].numpy() > 0, np.ones((3, 3, 3)))
    numbers = components.ravel()[(voxels := np.flatnonzero(components))]
    sizes = np.bincount(numbers, minlength=count + 1)[1:]
    ordered = voxels[np.argsort(numbers, kind="stable")].astype(np.int32)
    return list(torch.from_numpy(ordered).split(sizes.tolist())) if count else []


def padded(volume: Tensor, shape: Sequence[int], background: bool) -> Tensor:
    """A volume (C, X, Y, Z) padded at its ends to at least a shape, each channel with its minimum or all with 0.

    Args:
        volume: image or boolean region mask.
        shape: minimum (X, Y, Z) of the result.
        background: pad with the minimum, which is background in an image.
    """
    missing = [max(size - length, 0) for size, length in zip(shape, volume.shape[1:], strict=True)]
    if not any(missing):
        return volume
    ends = [pad for end in reversed(missing) for pad in (0, end)]
    return torch.stack([F.pad(part, ends, value=float(part.min()) if background else 0.0) for part in volume])

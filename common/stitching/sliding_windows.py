"""Sliding-window positions: equal windows over a padded volume, and their halos."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from monai.data.utils import dense_patch_slices
from torch import Tensor

from ..errors import ConfigError

Place = tuple[slice, ...]
"""A box in a volume, a slice of voxels for each axis."""


class Cut(NamedTuple):
    """Windows over one volume, in voxels.

    Args:
        size: of the volume after padding.
        roi: of a window.
        stride: between windows; a last one that would reach beyond the volume is moved back inside.
    """

    size: tuple[int, ...]
    roi: tuple[int, ...]
    stride: tuple[int, ...]

    def windows(self) -> list[Place]:
        """All windows, the last axis fastest, in voxels of the padded volume."""
        return dense_patch_slices(*self)


def core(window: Place, size: tuple[int, ...], halo: int) -> Place:
    """The part of a window whose outputs equal those of one pass: without its halo, except at the volume's border.

    Args:
        window: in voxels of the volume.
        size: of the volume.
        halo: voxels at a window's side whose receptive field reaches beyond it.
    """
    return tuple(
        slice(side.start + halo if side.start > 0 else 0, side.stop - halo if side.stop < n else n)
        for side, n in zip(window, size, strict=True)
    )


def require_multiple(multiple_of: int, roi_size: tuple[int, ...] = ()) -> None:
    """Refuse windows of other sides than multiples of a whole number above zero.

    Raises:
        ConfigError: it is none, or a side is no multiple of it or not positive.
    """
    if type(multiple_of) is not int or multiple_of < 1:
        fault = f"multiple_of is {multiple_of}, not a whole number above zero"
        raise ConfigError(fault, "give 2 ** depth of the network")
    if roi_size and min(roi_size) < 1:
        raise ConfigError(f"roi_size is {roi_size}, not positive", "give voxels along each axis")
    if any(side % multiple_of for side in roi_size):
        raise ConfigError(f"roi_size is {roi_size}, not a multiple of {multiple_of}", "change --tile or --patch_size")


def cheapest_cut(shape: tuple[int, ...], halo: int, max_voxels: int, multiple_of: int = 1) -> Cut:
    """Equal windows of at most ``max_voxels`` that overlap by two halos, with the fewest voxels to compute.

    Args:
        shape: of the volume.
        halo: voxels at a window's side whose receptive field reaches beyond it.
        max_voxels: of a window.
        multiple_of: padded volume, windows and strides are multiples of it.

    Raises:
        ConfigError: where windows of that size are all halo.
    """
    size, halo = tuple(rounded(n, multiple_of) for n in shape), rounded(halo, multiple_of)
    axes = [_windows_along(n, halo, multiple_of) for n in size]
    cuts = [axis for axis in itertools.product(*axes) if math.prod(roi for roi, _, _ in axis) <= max_voxels]
    if not cuts:
        field = f"a window wider than the receptive field in a volume of {shape}"
        raise ConfigError(f"max_voxels is {max_voxels}, too few for {field}", "raise it, or use mode faithful")

    def cost(axis: tuple[tuple[int, int, int], ...]) -> tuple[int, int]:
        counts = math.prod(count for _, _, count in axis)
        return counts * math.prod(roi for roi, _, _ in axis), counts

    rois, strides, _ = zip(*min(cuts, key=cost), strict=True)
    return Cut(size, rois, strides)


def _windows_along(n: int, halo: int, multiple_of: int) -> list[tuple[int, int, int]]:
    """Width, stride and number of windows on a side of ``n`` voxels, for each width."""
    rois = {rounded((n + 2 * halo * (count - 1)) / count, multiple_of) for count in range(1, n // multiple_of + 1)}
    several = [(roi, roi - 2 * halo) for roi in sorted(rois) if 2 * halo < roi < n]
    return [(n, n, 1), *((roi, step, math.ceil((n - roi) / step) + 1) for roi, step in several)]


def rounded(length: float, multiple_of: int) -> int:
    """The next multiple at or above a length."""
    return math.ceil(length / multiple_of) * multiple_of


def pad(volumes: Tensor, size: tuple[int, ...], cval: float | None) -> tuple[Tensor, Place]:
    """Pad volumes (B, C, X, Y, Z) evenly on both sides.

    Args:
        volumes: of any type.
        size: after padding, at least that of the volumes.
        cval: value of the padding; None for each channel's minimum in its volume, its background.

    Returns:
        the volumes as float32, and the index of the originals in them.
    """
    shape = tuple(volumes.shape[2:])
    inside = (slice(None), slice(None), *_originals(shape, size))
    if size == shape:
        return volumes.float(), inside
    padded = background(volumes, cval).expand(-1, -1, *size).clone(memory_format=torch.contiguous_format)
    padded[inside] = volumes
    return padded, inside


def background(volumes: Tensor, cval: float | None) -> Tensor:
    """The padding of volumes (B, C, X, Y, Z) as float32, (B, C, 1, 1, 1); see :func:`pad`."""
    if cval is None:
        return volumes.amin((2, 3, 4), keepdim=True).float()
    return torch.full((*volumes.shape[:2], 1, 1, 1), cval, dtype=torch.float32, device=volumes.device)


def taken(volume: Tensor, ground: Tensor, window: Place, size: tuple[int, ...]) -> Tensor:
    """A window of a padded volume, without padding the volume.

    Args:
        volume: (C, X, Y, Z), not padded.
        ground: (C, 1, 1, 1), the padding.
        window: in voxels of the padded volume.
        size: of the padded volume.

    Returns:
        (C, X', Y', Z'), float32; a view where the window needs no padding.
    """
    shape = tuple(volume.shape[1:])
    place, part = written(window, window, shape, size)
    if all(side.stop - side.start == w.stop - w.start for side, w in zip(place, window, strict=True)):
        return volume[every(place)].float()
    sides = (side.stop - side.start for side in window)
    padded = ground.expand(-1, *sides).clone(memory_format=torch.contiguous_format)
    padded[every(part)] = volume[every(place)]
    return padded


def written(kept: Place, window: Place, shape: tuple[int, ...], size: tuple[int, ...]) -> tuple[Place, Place]:
    """Where a part of a window lies in a volume that is not padded, and in the window; both without padding.

    Args:
        kept: in voxels of the padded volume.
        window: likewise.
        shape: of the volume.
        size: of the padded volume.
    """
    place, part = [], []
    for k, w, inside in zip(kept, window, _originals(shape, size), strict=True):
        start = max(k.start, inside.start)
        stop = max(start, min(k.stop, inside.stop))
        place.append(slice(start - inside.start, stop - inside.start))
        part.append(slice(start - w.start, stop - w.start))
    return tuple(place), tuple(part)


def every(place: Place) -> Place:
    """The index of a place in all channels."""
    return (slice(None), *place)


def _originals(shape: tuple[int, ...], size: tuple[int, ...]) -> list[slice]:
    """Where a volume lies in the padded one."""
    starts = [(s - n) // 2 for n, s in zip(shape, size, strict=True)]
    return [slice(start, start + n) for start, n in zip(starts, shape, strict=True)]

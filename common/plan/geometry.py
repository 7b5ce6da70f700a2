"""Rules of geometry: working spacing, plane of slices, sizes of crops and patches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..data.datasets.slices import ELONGATED, elongation
from .fingerprint import Case, Triple

ALIKE = 0.05
"""Spacings within this relative distance of their median are left alone, since resampling blurs."""
ANISOTROPIC = 3.0
"""An axis this many times coarser than the finest takes a low percentile of its spacings, as in nnU-Net."""
FINE_PERCENTILE = 10
MOST_PADDING = 0.25
"""Part by which the side of a crop may exceed the foreground, for a deeper network: a crop of 256 is for 205 up."""
LEAST_CROP, CROP_STEP = 32, 16
"""A 70x70 patch discriminator has no output below 24 pixels."""


class SliceCrop(NamedTuple):
    """Side of a square crop of a slice, and the halvings of the network that takes it."""

    side: int
    depth: int


def working_spacing(cases: Sequence[Case]) -> Triple | None:
    """The median spacing in mm along each axis, in which all cases are resampled; None where they are alike.

    An axis ``ANISOTROPIC`` times coarser than the finest one takes the 10th percentile: with the median, half of the
    thick-sliced cases would lose resolution (Isensee et al. 2021, "target spacing").
    """
    spacings = np.array([case.spacing for case in cases])
    median = np.median(spacings, axis=0)
    is_alike = bool((np.abs(spacings - median) <= ALIKE * median).all())
    if is_alike and not any(case.is_sheared for case in cases):
        return None
    fine = np.percentile(spacings, FINE_PERCENTILE, axis=0)
    x, y, z = np.where(median > ANISOTROPIC * median.min(), fine, median).round(2).tolist()
    return x, y, z


def median_spacing(cases: Sequence[Case]) -> Triple:
    """The median spacing in mm along each axis."""
    x, y, z = np.median([case.spacing for case in cases], axis=0).tolist()
    return x, y, z


def boxes(cases: Sequence[Case], spacing: Triple | None) -> np.ndarray:
    """Sides of each case's foreground in voxels of the working spacing, (cases, 3)."""
    own = np.array([case.box for case in cases], dtype=float)
    return own if spacing is None else own * np.array([case.spacing for case in cases]) / np.array(spacing)


def slices_across(case: Case, axis: int, spacing: Triple | None) -> int:
    """Slices of a case across an axis that hold foreground, at the working spacing."""
    stretched = 1.0 if spacing is None else case.spacing[axis] / spacing[axis]
    return round(case.slices[axis] * stretched)


def plane_of(spacing: Triple, own: str) -> str:
    """The plane of slices: the bundle's own, unless its pixels are ``ELONGATED`` times longer than those of another.

    Among the others the one with the finest pixels is taken: that of the acquired slices where slices are thick.
    """
    stretched = elongation(spacing)
    best = min(stretched, key=stretched.__getitem__)
    return best if stretched[own] > ELONGATED * stretched[best] else own


def crop_of(extent: float, most: SliceCrop) -> SliceCrop:
    """The deepest network whose crop, a multiple of 2^depth, is at most a quarter wider than the foreground.

    Args:
        extent: largest side of the foreground in a slice, in pixels.
        most: the bundle's own size, which is not exceeded in either.
    """
    wanted = min(max(extent, LEAST_CROP), most.side)
    for depth in range(most.depth, 0, -1):
        side = math.ceil(wanted / 2**depth) * 2**depth
        if side <= max(wanted * (1 + MOST_PADDING), LEAST_CROP) and side <= most.side:
            return SliceCrop(side, depth)
    return most


def smaller_crops(crop: SliceCrop) -> Iterator[SliceCrop]:
    """The crop, and narrower ones down to half of its side, each with as many halvings as its side has."""
    yield crop
    for side in range(crop.side - CROP_STEP, max(LEAST_CROP, crop.side // 2) - 1, -CROP_STEP):
        if side % CROP_STEP == 0:
            yield SliceCrop(side, min(crop.depth, (side & -side).bit_length() - 1))


def patch_of(box: Sequence[float], spacing: Triple, own: Sequence[int], step: int) -> list[int]:
    """A patch as many voxels large as the bundle's own, as long in mm along each axis as the foreground allows.

    Isotropic in mm first (Isensee et al. 2021, "initial patch size"), so that thick slices get few of them; then cut
    to the foreground, rounded up.

    Args:
        box: median sides of the foreground in voxels.
        spacing: in mm.
        own: the bundle's patch.
        step: sides are multiples of this.
    """
    edge = (math.prod(own) * math.prod(spacing)) ** (1 / 3)
    wanted = [max(step, round(edge / part / step) * step) for part in spacing]
    return [min(side, math.ceil(part / step) * step) for side, part in zip(wanted, box, strict=True)]


def smaller_patches(patch: Sequence[int], box: Sequence[float], step: int) -> Iterator[list[int]]:
    """The patch, and smaller ones: each time the side that covers most of the foreground loses a step."""
    sides = list(patch)
    yield list(sides)
    while max(sides) > step:
        covers = [side / part if side > step else 0.0 for side, part in zip(sides, box, strict=True)]
        sides[int(np.argmax(covers))] -= step
        yield list(sides)

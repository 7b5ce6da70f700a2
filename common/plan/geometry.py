"""Rules of geometry: working spacing, plane of slices, sizes of crops and patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..data.datasets.slices import ELONGATED, elongation
from .fingerprint import CaseProperties, Triple

ALIKE = 0.05
"""Spacings within this relative distance of their median are left alone, since resampling blurs."""
ANISOTROPIC = 3.0
"""An axis this many times coarser than the finest takes a low percentile of its spacings, as in nnU-Net."""
FINE_PERCENTILE = 10
MOST_PADDING = 0.25
"""Part by which the side of a crop may exceed the foreground, for a deeper network: a crop of 256 is for 205 up."""
LEAST_CROP = 32
"""A 70x70 patch discriminator has no output below 24 pixels."""


def working_spacing(cases: Sequence[CaseProperties]) -> Triple | None:
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


def median_spacing(cases: Sequence[CaseProperties]) -> Triple:
    """The median spacing in mm along each axis."""
    x, y, z = np.median([case.spacing for case in cases], axis=0).tolist()
    return x, y, z


def boxes(cases: Sequence[CaseProperties], spacing: Triple | None) -> np.ndarray:
    """Sides of each case's foreground in voxels of the working spacing, (cases, 3)."""
    own = np.array([case.box for case in cases], dtype=float)
    return own if spacing is None else own * np.array([case.spacing for case in cases]) / np.array(spacing)


def slices_across(case: CaseProperties, axis: int, spacing: Triple | None) -> int:
    """Slices of a case across an axis that hold foreground, at the working spacing."""
    stretched = 1.0 if spacing is None else case.spacing[axis] / spacing[axis]
    return round(case.slices[axis] * stretched)


def plane_of(spacing: Triple, own: str) -> str:
    """The plane of slices: the bundle's own, unless its pixels are ``ELONGATED`` times longer than those of another.

    Of the others the one with the finest pixels is selected: that of the acquired slices where slices are thick.
    """
    stretched = elongation(spacing)
    best = min(stretched, key=stretched.__getitem__)
    return best if stretched[own] > ELONGATED * stretched[best] else own


def crop_of(extent: float, side: int, depth: int) -> tuple[int, int]:
    """Side and depth of the deepest network whose crop, a multiple of 2^depth, is at most a quarter wider than the
    foreground.

    Args:
        extent: largest side of the foreground in a slice, in pixels.
        side: of the bundle's own crop, which is not exceeded.
        depth: halvings of the bundle's own network, which are not exceeded either.
    """
    wanted = min(max(extent, LEAST_CROP), side)
    for halvings in range(depth, 0, -1):
        crop = math.ceil(wanted / 2**halvings) * 2**halvings
        if crop <= max(wanted * (1 + MOST_PADDING), LEAST_CROP) and crop <= side:
            return crop, halvings
    return side, depth


def patch_of(box: Sequence[float] | np.ndarray, spacing: Triple, own: Sequence[int], step: int) -> list[int]:
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

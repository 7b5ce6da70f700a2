"""Tilted or unevenly spaced slices on a grid at right angles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from common.errors import VolumeError, Where
from common.io.dicom.reading.stack import Stack

LARGEST_GROWTH = 10
"""How many times the voxels that were read a resampled volume may hold; more is a slice gone astray."""
SAME = 1e-3
"""Of a pixel or a step: what is this near to a whole number is one, so that no border falls just outside its slice."""


@dataclass(frozen=True)
class OrthogonalGrid:
    """A grid with the slices' own directions and pixels, wide enough for all of them.

    Attributes:
        lps: affine (4, 4) to LPS mm.
        shape: columns, rows, slices.
        step: from slice to slice in mm, the median of the gaps.
        offsets: (N, 2), of each slice's first pixel in columns and rows of the grid.
        heights: (N,), of each slice along the normal in steps.
    """

    lps: np.ndarray
    shape: tuple[int, int, int]
    step: float
    offsets: np.ndarray
    heights: np.ndarray


def orthogonal_grid(stack: Stack, where: Where) -> OrthogonalGrid:
    """The grid for a stack: it begins in the plane of the first slice and ends before the last or in its plane.

    Raises:
        VolumeError: where it would have many times the voxels of the stack.
    """
    plane = stack.plane
    away = stack.positions - stack.positions[0]
    heights = away @ plane.normal
    step = float(np.median(np.diff(heights)))
    offsets = _whole(np.stack([away @ plane.across, away @ plane.down], axis=1) / plane.spacing)
    low, high = np.floor(offsets.min(axis=0)), np.ceil(offsets.max(axis=0))
    wide = np.array(plane.shape) + high - low
    heights = _whole(heights / step)
    count = np.floor(heights[-1]) + 1
    if wide.prod() * count > LARGEST_GROWTH * np.prod(plane.shape) * len(heights):
        rule = f"resampling makes at most {LARGEST_GROWTH} times the voxels that were read"
        found = f"{wide[0]:.0f} x {wide[1]:.0f} x {count:.0f} from {len(heights)} slices"
        raise VolumeError(where(rule, found, "find the slice that lies apart and remove it"))
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = plane.across * plane.spacing[0], plane.down * plane.spacing[1]
    lps[:3, 2] = plane.normal * step
    lps[:3, 3] = stack.positions[0] + lps[:3, :2] @ low
    return OrthogonalGrid(lps, (int(wide[0]), int(wide[1]), int(count)), step, offsets - low, heights)


def resample(values: np.ndarray, grid: OrthogonalGrid) -> np.ndarray:
    """The slices (X, Y, N) on the grid, linearly in the plane and between the two nearest slices; float32.

    Outside a slice's field of view the volume has its minimum, which is background.
    """
    out = np.empty(grid.shape, np.float32)
    background = values.min()
    for k in range(grid.shape[2]):
        below = int(np.clip(np.searchsorted(grid.heights, k, side="right") - 1, 0, len(grid.heights) - 2))
        share = (k - grid.heights[below]) / (grid.heights[below + 1] - grid.heights[below])
        plane = np.zeros(grid.shape[:2])
        for number, weight in ((below, 1 - share), (below + 1, share)):
            if weight:
                plane += weight * _shifted(values[:, :, number], grid, number)
        out[:, :, k] = np.where(np.isnan(plane), background, plane)
    return out


def _shifted(plane: np.ndarray, grid: OrthogonalGrid, number: int) -> np.ndarray:
    """A slice (X, Y) at its place in the grid's plane, NaN where it has no pixels."""
    moved: np.ndarray = ndimage.affine_transform(
        plane.astype(np.float64), np.ones(2), -grid.offsets[number], grid.shape[:2], order=1, cval=np.nan
    )
    return moved


def _whole(places: np.ndarray) -> np.ndarray:
    nearest = np.rint(places)
    return np.where(np.abs(places - nearest) < SAME, nearest, places)

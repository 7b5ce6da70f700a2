"""Resampling of tilted or unevenly spaced slices onto an orthogonal grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ....errors import VolumeError, Where
from .stack import Stack

LARGEST_GROWTH = 10
"""Largest ratio of resampled to original voxels; a higher one means that a slice is misplaced."""
SAME = 1e-3
"""Positions within this fraction of a pixel or step are rounded, so that no border falls just outside its slice."""


@dataclass(frozen=True)
class OrthogonalGrid:
    """A grid with the directions and pixel size of the slices that covers all of them.

    Attributes:
        lps: affine (4, 4) to LPS mm.
        shape: columns, rows, slices.
        step: slice spacing in mm, the median of the gaps.
        offsets: (N, 2), first pixel of each slice, in columns and rows of the grid.
        heights: (N,), position of each slice along the normal, in steps.
    """

    lps: np.ndarray
    shape: tuple[int, int, int]
    step: float
    offsets: np.ndarray
    heights: np.ndarray

    @property
    def missing(self) -> int:
        """How many of its slices have no given one within half a step, and are interpolated across a gap."""
        places = np.arange(self.shape[2])
        return int((np.abs(places[:, None] - self.heights).min(axis=1) > 0.5 + SAME).sum())


def orthogonal_grid(stack: Stack, where: Where) -> OrthogonalGrid:
    """Compute the grid of a stack, from the plane of the first slice up to that of the last one at most.

    Raises:
        VolumeError: for a grid with more than ``LARGEST_GROWTH`` times the voxels of the stack.
    """
    plane = stack.plane
    away = stack.positions - stack.positions[0]
    heights = away @ plane.normal
    step = float(np.median(np.diff(heights)))
    offsets = _snapped(np.stack([away @ plane.across, away @ plane.down], axis=1) / plane.spacing)
    low, high = np.floor(offsets.min(axis=0)), np.ceil(offsets.max(axis=0))
    wide = np.array(plane.shape) + high - low
    heights = _snapped(heights / step)
    count = np.floor(heights[-1]) + 1
    if wide.prod() * count > LARGEST_GROWTH * np.prod(plane.shape) * len(heights):
        fault = f"resampling would give over {LARGEST_GROWTH} times the voxels of the series"
        shape = f"{wide[0]:.0f} x {wide[1]:.0f} x {count:.0f} from {len(heights)} slices"
        raise VolumeError(where(fault, shape, "find the outlying slice and remove it"))
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = plane.across * plane.spacing[0], plane.down * plane.spacing[1]
    lps[:3, 2] = plane.normal * step
    lps[:3, 3] = stack.positions[0] + lps[:3, :2] @ low
    return OrthogonalGrid(lps, (int(wide[0]), int(wide[1]), int(count)), step, offsets - low, heights)


def resample(values: np.ndarray, grid: OrthogonalGrid) -> np.ndarray:
    """Resample the slices (X, Y, N) to the grid: linear in the plane and between the two nearest slices; float32.

    Outside the field of view of a slice the volume has its minimum, which is background.
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
    """A slice (X, Y) resampled in the plane of the grid, NaN where it has no pixels."""
    moved: np.ndarray = ndimage.affine_transform(
        plane.astype(np.float64), np.ones(2), -grid.offsets[number], grid.shape[:2], order=1, cval=np.nan
    )
    return moved


def _snapped(places: np.ndarray) -> np.ndarray:
    nearest = np.rint(places)
    return np.where(np.abs(places - nearest) < SAME, nearest, places)

"""Volumes of a page's viewer: reduced, rounded to the levels of a scale, and packed without further loss.

One volume serves all three planes, which takes a third of the space of slices of each plane.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

LEAST_SIDE = 16


@dataclass(frozen=True)
class Scale:
    """Levels that values are rounded to.

    Args:
        segments: ``(start, step, count)`` of runs of equidistant levels, each above the one before.
    """

    segments: tuple[tuple[float, float, int], ...]

    @cached_property
    def values(self) -> np.ndarray:
        """Value of every level, ascending, float64."""
        return np.concatenate([start + step * np.arange(count) for start, step, count in self.segments])

    def levels(self, volume: np.ndarray) -> np.ndarray:
        """Nearest level of each value, uint16, of the volume's shape; beyond the ends, and where not finite, an end."""
        middles = (self.values[1:] + self.values[:-1]) / 2
        places: np.ndarray = np.searchsorted(middles, np.nan_to_num(volume, nan=self.values[0]))
        return places.astype(np.uint16)

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return float(self.values[0]), float(self.values[-1])


HU_SCALE = Scale(((-1024, 12, 69), (-205, 3, 170), (314, 12, 225)))
"""Rounds CT by at most 1.5 HU from -200 to 300 HU, where windows are narrow, and by 6 HU up to 3002 HU."""


def linear_scale(low: float, high: float, count: int = 256) -> Scale:
    """Equidistant levels from low to high."""
    return Scale(((low, (high - low) / (count - 1), count),))


@dataclass(frozen=True)
class Grid:
    """Shape (X, Y, Z) of a volume, and of its reduced grid."""

    whole: tuple[int, ...]
    shape: tuple[int, ...]

    def reduced(self, volume: np.ndarray) -> np.ndarray:
        """Means over the volume's voxels, weighted by overlap, float32, of ``shape``."""
        part = volume.astype(np.float32)
        for axis, size in enumerate(self.shape):
            if size < part.shape[axis]:
                weights = _overlaps(part.shape[axis], size)
                part = np.moveaxis(np.tensordot(weights, part, (1, axis)), 0, axis)
        return part

    @property
    def steps(self) -> list[float]:
        """Voxels of the volume in one of the grid, along each axis."""
        return [side / size for side, size in zip(self.whole, self.shape, strict=True)]


def _overlaps(size: int, fewer: int) -> np.ndarray:
    """Share of each of ``size`` voxels in each of ``fewer`` larger ones (fewer, size); rows add up to 1."""
    edges = np.linspace(0, size, fewer + 1)
    places = np.arange(size)
    overlap = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    shares: np.ndarray = np.clip(overlap, 0, None) * fewer / size
    return shares.astype(np.float32)


def grid_of(shape: Sequence[int], spacing: Sequence[float], size_mm: float) -> Grid:
    """Grid of a whole volume, with voxels of at most about ``size_mm`` and never finer than the volume."""
    fewer = (min(side, max(LEAST_SIDE, ceil(side * step / size_mm))) for side, step in zip(shape, spacing, strict=True))
    return Grid(tuple(shape), tuple(fewer))


def packed(levels: np.ndarray) -> str:
    """Base64 text of deflated differences of levels (X, Y, Z) from the mean of the three neighbours before each.

    Outside the volume levels are 0. A difference d is written as 2d, or -2d - 1 if negative; first the low bytes of
    all, then the high bytes; Z runs fastest. ``slices.js`` reads it.
    """
    before = np.pad(levels.astype(np.int32), ((1, 0),) * 3)
    neighbours = before[:-1, 1:, 1:] + before[1:, :-1, 1:] + before[1:, 1:, :-1]
    change = levels - neighbours // 3
    folded = np.where(change >= 0, 2 * change, -2 * change - 1).astype("<u2")
    low_then_high = folded.reshape(-1, 1).view(np.uint8).T.tobytes()
    deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)  # made for differences: a tenth smaller
    return base64.b64encode(deflate.compress(low_then_high) + deflate.flush()).decode("ascii")

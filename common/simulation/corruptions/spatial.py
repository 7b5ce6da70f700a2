"""Changes of place: rotation, size, field of view. Image, target and mask of a case change alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Array = NDArray[Any]
Change = Callable[[Array, int], Array]
"""Gives the changed volume (X, Y, Z) of a volume and the order of interpolation, by which masks stay binary."""


def of_all(volumes: Mapping[str, Array], change: Change) -> dict[str, Array]:
    """All volumes (C, X, Y, Z) of a case, changed alike; ``mask`` is taken from the nearest voxel."""
    return {
        name: np.stack([change(channel, 0 if name == "mask" else 1) for channel in volume])
        for name, volume in volumes.items()
    }


def rotated(volume: Array, spacing: ArrayLike, axes: tuple[int, int], degrees: float, order: int = 1) -> Array:
    """Volume (X, Y, Z) rotated about its middle, from the first of two axes to the second; outside is its minimum.

    Args:
        volume: in any unit.
        spacing: along X, Y and Z in mm.
        axes: of the plane.
        degrees: angle.
        order: of the splines that interpolate.
    """
    angle, matrix = np.radians(degrees), np.eye(3)
    matrix[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return _affine(volume, spacing, matrix, order)


def scaled(volume: Array, spacing: ArrayLike, factor: float, order: int = 1) -> Array:
    """Volume (X, Y, Z) enlarged about its middle by a factor, as by a wrong voxel size; outside is its minimum."""
    return _affine(volume, spacing, factor * np.eye(3), order)


def _affine(volume: Array, spacing: ArrayLike, matrix: NDArray[np.float64], order: int) -> Array:
    """A volume (X, Y, Z) under a matrix (3, 3) of mm about its middle."""
    middle = (np.array(volume.shape) - 1) / 2
    inverse = np.diag(1 / np.asarray(spacing)) @ np.linalg.inv(matrix) @ np.diag(spacing)
    changed: Array = ndimage.affine_transform(
        volume, inverse, middle - inverse @ middle, order=order, mode="constant", cval=float(volume.min())
    )
    return changed


def cropped(volume: Array, axis: int, start: float, stop: float) -> Array:
    """Volume (X, Y, Z) of a smaller field of view: from one share of its extent along an axis to another."""
    size = volume.shape[axis]
    part = slice(round(start * size), round(stop * size))
    return volume[tuple(part if other == axis else slice(None) for other in range(volume.ndim))]


def wrapped(volume: Array, axis: int, share: float) -> Array:
    """Volume (X, Y, Z) of a field of view that is off by a share of its extent: what leaves it comes in at the end."""
    return np.roll(volume, int(share * volume.shape[axis]), axis)

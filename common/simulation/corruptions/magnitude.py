"""What the corruptions of magnitude MR share: which volumes they take, their robust maximum, the axes of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from ..grid import Volume

Corruption = Callable[[Volume, Sequence[float], np.random.Generator], Volume]
"""Gives the corrupted volume of a volume (X, Y, Z), its spacing in mm and a random generator."""
SCALE_PERCENTILE = 99.5
"""Of all voxels: the robust maximum that noise is relative to."""
LEAST_NEGATIVE = 0.2
"""Negative values of interpolated magnitudes are smaller than this part of the robust maximum."""


def robust_maximum(volume: NDArray[np.floating]) -> float:
    """The ``SCALE_PERCENTILE``-th percentile of a volume, or its maximum where that is 0."""
    return float(np.percentile(volume, SCALE_PERCENTILE)) or float(volume.max())


def checked_volume(volume: ArrayLike, name: str) -> Volume:
    """Return a volume (X, Y, Z) of any unit as float32.

    Raises:
        DataError: not three-dimensional, complex, or not finite.
    """
    given = np.asarray(volume)
    if given.ndim != 3:
        raise DataError(f"{name} has {given.ndim} dimensions, not 3", "give one volume (X, Y, Z)")
    if np.iscomplexobj(given):
        raise DataError(f"{name} has complex values", "give their magnitude")
    values = given.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{name} has NaN or infinite voxels", "fill or fix them")
    return values


def checked_magnitude(volume: ArrayLike, name: str = "MR") -> Volume:
    """Return a magnitude volume (X, Y, Z) as float32.

    Raises:
        DataError: see :func:`checked_volume`; also with negative values beyond those of interpolation, as phase images
            and CT have them.
    """
    values = checked_volume(volume, name)
    low = float(values.min())
    if low < 0 and low < -LEAST_NEGATIVE * robust_maximum(values):
        fault = f"{name} has values from {low:g} to {float(values.max()):g}, and magnitude images have no negative ones"
        raise DataError(fault, "give the magnitude instead of a phase image or a CT")
    return values


def phase_axis(axis: int) -> int:
    """The axis of phase encoding of slices across an axis (right-anterior-superior): the first of the other two."""
    return 0 if axis else 1


def to_slices(volume: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    """A volume (X, Y, Z) as slices (slices, rows, columns) across an axis; columns are the phase encoding."""
    return np.moveaxis(volume, (axis, phase_axis(axis)), (0, 2))


def from_slices(slices: Volume, axis: int) -> Volume:
    """The inverse of :func:`to_slices`."""
    return np.ascontiguousarray(np.moveaxis(slices, (0, 2), (axis, phase_axis(axis))))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

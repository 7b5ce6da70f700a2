"""Voxel grids: properties of an affine, and comparison of the grids of two volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

from .errors import DataError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's and ITK's axes to NIfTI's, or back."""
GRID_TOLERANCE_MM = 0.1
"""Two affines are the same grid when no corner of the volume moves further than this."""
SHEAR_COSINE = 1e-3
"""Axes whose cosine is larger than this (0.06 degrees off a right angle) count as sheared."""
SINGULAR_VOLUME = 1e-6
"""An affine is singular when its voxel's volume is below this fraction of that of a box with the same edges."""
SPACING_TOLERANCE_MM = 1e-3
"""Spacings that differ by less are one: float32 headers say 2.0000002."""
LEAST_COVERED = 0.5
"""Smallest fraction of the image's voxels that a volume must cover to be resampled onto its grid."""


def is_sheared(affine: np.ndarray) -> bool:
    """Whether the axes of an affine ``(4, 4)`` are not at right angles; left-handed axes are fine."""
    axes = affine[:3, :3] / voxel_sizes(affine)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_COSINE)


def grid_distance_mm(shape: tuple[int, ...], first: np.ndarray, second: np.ndarray) -> float:
    """The largest distance in millimetres between the corners of a volume ``shape`` under two affines (4, 4)."""
    corners = np.array([(*corner, 1) for corner in product(*((0, n - 1) for n in shape[:3]))], dtype=float)
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def same_grid(shape: Sequence[int], affine: np.ndarray, wanted: Sequence[int], wanted_affine: np.ndarray) -> bool:
    """Whether two volumes share one grid: equal shapes (X, Y, Z), and no corner apart by ``GRID_TOLERANCE_MM``."""
    if tuple(shape) != tuple(wanted):
        return False
    return grid_distance_mm(tuple(shape), np.asarray(affine), np.asarray(wanted_affine)) <= GRID_TOLERANCE_MM


def require_grid(
    name: str,
    shape: Sequence[int],
    own: np.ndarray,
    wanted: Sequence[int],
    affine: np.ndarray,
    remedy: str,
    other: str = "the source",
) -> None:
    """Refuse a volume on another grid than the other's.

    Raises:
        DataError: showing both shapes and affines.
    """
    if not same_grid(shape, own, wanted, affine):
        raise DataError(f"{name} has {show_grid(shape, own)}, {other} {show_grid(wanted, affine)}", remedy)


def show_grid(shape: Sequence[int], affine: np.ndarray) -> str:
    """Shape and affine on one line, for messages."""
    return f"shape {tuple(shape)}, affine {show_affine(np.asarray(affine))}"


def show_affine(affine: np.ndarray) -> str:
    """The three informative rows of an affine on one line."""
    return "[" + "; ".join(" ".join(f"{v:.6g}" for v in row) for row in affine[:3]) + "]"


def is_invertible(affine: np.ndarray) -> bool:
    """Whether an affine ``(4, 4)`` is finite and its axes span a volume."""
    if not np.isfinite(affine).all():
        return False
    return bool(abs(np.linalg.det(affine[:3, :3])) > SINGULAR_VOLUME * voxel_sizes(affine).prod())


def ras_shape(shape: tuple[int, ...], affine: np.ndarray) -> tuple[int, ...]:
    """The shape of a volume after its axes are put in the order left-right, posterior-anterior, inferior-superior."""
    axes = io_orientation(affine)[:, 0]
    return tuple(shape[int(i)] for i in np.argsort(axes))


def ras_spacing(affine: np.ndarray) -> tuple[float, ...]:
    """Spacing in mm in the order left-right, posterior-anterior, inferior-superior of an affine ``(4, 4)``."""
    sizes = voxel_sizes(affine)
    return tuple(float(sizes[axis]) for axis in ras_shape((0, 1, 2), affine))


def ras_sides(shape: Sequence[int], affine: np.ndarray) -> tuple[float, ...]:
    """Extent in mm in the order left-right, posterior-anterior, inferior-superior of a volume (X, Y, Z)."""
    return tuple(n * side for n, side in zip(ras_shape(tuple(shape), affine), ras_spacing(affine), strict=True))


def show_sides(sides: Sequence[float]) -> str:
    """Extents in mm on one line, for messages."""
    return " x ".join(f"{side:.3g}" if side < 100 else f"{side:.0f}" for side in sides) + " mm"


def in_ras(function: Callable[[np.ndarray], np.ndarray], volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """What a function makes of a volume ``(X, Y, Z)`` whose axes are put in RAS order, with the axes it came with.

    Args:
        function: of a volume whose third axis runs from inferior to superior, to one of the same shape.
        volume: with its axes in any order and direction; ``(X, Y, Z, C)`` where it has channels.
        affine: (4, 4) to RAS mm.
    """
    turn = io_orientation(affine)
    back = ornt_transform(axcodes2ornt("RAS"), turn)
    turned: np.ndarray = apply_orientation(function(apply_orientation(volume, turn)), back)
    return turned


def reoriented(values: np.ndarray, affine: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume with its axes in the order and direction of another one's, and its affine; nothing is interpolated.

    Args:
        values: (..., X, Y, Z).
        affine: (4, 4), from its voxel indices to RAS mm.
        wanted: affine (4, 4) of the other volume.
    """
    turn = io_orientation(np.linalg.inv(wanted) @ affine)
    turned = apply_orientation(np.moveaxis(values, (-3, -2, -1), (0, 1, 2)), turn)
    own = np.ascontiguousarray(np.moveaxis(turned, (0, 1, 2), (-3, -2, -1)))  # torch takes no negative strides
    return own, affine @ inv_ornt_aff(turn, values.shape[-3:])


def channels_last(values: np.ndarray) -> np.ndarray:
    """Channels (C, X, Y, Z) as (X, Y, Z, C), and one channel as (X, Y, Z)."""
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)


def respaced(shape: Sequence[int], affine: np.ndarray, spacing: Sequence[float]) -> tuple[tuple[int, ...], np.ndarray]:
    """The grid of another spacing along the same axes, which begins at the same voxel.

    It ends at the voxel closest to the last one, the nearer to the first of two that are equally close. Direction and
    rounding of the affine have no influence on which places between voxels the new grid takes.

    Args:
        shape: (X, Y, Z) of the grid.
        affine: (4, 4) to mm, its axes at right angles.
        spacing: in mm along the three axes.

    Returns:
        shape and affine (4, 4) of the new grid.
    """
    own, wanted = voxel_sizes(affine), np.asarray(spacing, dtype=float)
    wanted = np.where(np.abs(own - wanted) < SPACING_TOLERANCE_MM, own, wanted)
    steps = (np.array(shape) - 1) * own / wanted
    placed = np.array(affine, dtype=float)
    placed[:3, :3] *= wanted / own
    return tuple(int(n) + 1 for n in np.ceil(steps - 0.5 - SPACING_TOLERANCE_MM)), placed


def covered(
    shape: tuple[int, ...], affine: np.ndarray, other_shape: tuple[int, ...], other_affine: np.ndarray
) -> np.ndarray:
    """Which voxels of a grid have their centre inside a voxel of another one, bool of ``shape`` (X, Y, Z).

    Affines (4, 4) map voxel indices to the same millimetres.
    """
    x, y, z = np.ogrid[tuple(slice(n) for n in shape)]
    inside = np.ones(shape, dtype=bool)
    for (a, b, c, offset), n in zip((np.linalg.inv(other_affine) @ affine)[:3], other_shape, strict=True):
        place = a * x + b * y + c * z + offset
        inside &= (place >= -0.5) & (place <= n - 0.5)
    return inside

"""Line integrals of a volume along parallel rays in axial planes, whatever the axes of its voxels."""

from __future__ import annotations

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike
from scipy.ndimage import affine_transform

from ..errors import DataError
from ..grids import is_invertible, show_affine
from .masked import Volume

ANGLES = 12
"""Directions of rays, evenly in 180 degrees, the first with rays from left to right."""
RAY_SPACING_MM = 4.0
"""Distance of parallel rays in an axial plane, and of these planes: about that of a PET scanner's crystals."""
STEP_MM = 1.0
"""Distance of samples along a ray."""


def line_integrals(attenuation: ArrayLike, affine: ArrayLike) -> Volume:
    """Integrals of a map along parallel rays in axial planes of the patient, without unit.

    The rays are placed in mm, whatever the axes of the voxels: ``RAY_SPACING_MM`` apart, symmetric to the middle of
    the volume. Values between voxels are linear, outside the volume they are 0.

    Args:
        attenuation: linear attenuation (X, Y, Z) in 1/cm.
        affine: (4, 4) from voxels to mm, right-anterior-superior.

    Returns:
        Of shape (A, R, P), directions by rays of a plane by planes.

    Raises:
        DataError: see :func:`checked_affine`.
    """
    volume, to_mm = np.asarray(attenuation, dtype=np.float64), checked_affine(affine)
    # One voxel more on each side, where linear interpolation falls to 0.
    corners = apply_affine(to_mm, np.array([*np.ndindex(2, 2, 2)]) * (np.array(volume.shape) + 1) - 1)
    middle = corners.mean(axis=0)
    radius = np.linalg.norm((corners - middle)[:, :2], axis=1).max()
    height = np.abs(corners - middle)[:, 2].max()
    widths = np.array([RAY_SPACING_MM, STEP_MM, RAY_SPACING_MM])
    counts = 2 * np.ceil(np.array([radius, radius, height]) / widths).astype(int) + 1
    to_voxels = np.linalg.inv(to_mm)
    integrals = []
    for angle in np.arange(ANGLES) * np.pi / ANGLES:
        along, across = (np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0)
        axes = np.array([across, along, (0, 0, 1)]).T * widths
        matrix = to_voxels[:3, :3] @ axes
        start = apply_affine(to_voxels, middle) - matrix @ ((counts - 1) / 2)
        sampled = affine_transform(volume, matrix, start, tuple(counts), order=1, mode="grid-constant", prefilter=False)
        integrals.append(sampled.sum(axis=1) * STEP_MM / 10)
    return np.stack(integrals)


def checked_affine(affine: ArrayLike) -> Volume:
    """Return an affine (4, 4) as float64.

    Raises:
        DataError: another shape, a value that is not finite, or axes that span no volume.
    """
    to_mm = np.asarray(affine, dtype=np.float64)
    if to_mm.shape != (4, 4):
        raise DataError(f"affine has shape {to_mm.shape}, not (4, 4)", "pass that of the volume")
    if not is_invertible(to_mm):
        raise DataError(f"affine {show_affine(to_mm)} is not finite or spans no volume", "fix the header")
    return to_mm

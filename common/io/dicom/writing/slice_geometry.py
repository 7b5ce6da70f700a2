"""Geometry of derived slices: order, position, orientation, and the nearest source slices.

Volumes are (X, Y, Z) along columns, rows and slices. NIfTI affines map to RAS mm, those of DICOM to LPS mm.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from ....errors import OutputError
from ....grids import GRID_TOLERANCE_MM, LPS_TO_RAS, grid_distance_mm, is_invertible, is_sheared, show_affine

logger = logging.getLogger(__name__)
PARALLEL_COSINE = 0.999
"""Smallest cosine between the normals of parallel planes (2.6 degrees)."""
ROUNDING_MM = 1e-4
"""Largest shift by orthogonalising axes that were stored as 32-bit numbers."""
DECIMALS = 10
"""Decimals of positions in mm and of cosines: far below any tolerance, and without rounding noise."""


def to_planes(values: np.ndarray, affine: np.ndarray, axial: bool, case: str) -> tuple[np.ndarray, np.ndarray]:
    """Reorder a volume to the slices that are written; every voxel keeps its value and position.

    Axes are made exactly orthogonal, since readers differ in their treatment of others; a shift of voxels beyond
    rounding is logged.

    Args:
        values: (X, Y, Z).
        affine: (4, 4), to RAS mm.
        axial: permute and flip axes so that columns go closest to left, rows to back and slices to head.
        case: for messages.

    Returns:
        the values and their affine (4, 4) to LPS mm.

    Raises:
        OutputError: for axes that are not at right angles, which DICOM slices cannot have.
    """
    lps = LPS_TO_RAS @ _at_right_angles(affine, values.shape, case)
    if not axial:
        return values, lps
    turn = io_orientation(lps)
    return apply_orientation(values, turn), lps @ inv_ornt_aff(turn, values.shape)


def _at_right_angles(affine: np.ndarray, shape: tuple[int, ...], case: str) -> np.ndarray:
    """The nearest affine with axes at right angles: same spacing, same centre of the volume."""
    straight: np.ndarray = affine.copy()
    moved = np.inf
    if is_invertible(affine) and not is_sheared(affine):
        spacing = voxel_sizes(affine)
        left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
        straight[:3, :3] = left @ right * spacing
        straight[:3, 3] += (affine - straight)[:3, :3] @ (np.array(shape) - 1) / 2
        moved = grid_distance_mm(shape, affine, straight)
    if moved > GRID_TOLERANCE_MM:
        fault = f"{case}: axes of the source grid are not at right angles, affine {show_affine(affine)}"
        raise OutputError(fault, "resample the source to a grid with right angles, or pass --output_format nifti")
    if moved > ROUNDING_MM:
        logger.warning(f"{case}: axes put at right angles for DICOM, which moves voxels by up to {moved:.2g} mm")
    return straight


def plane_items(affine: np.ndarray, index: int) -> Dataset:
    """Position, orientation, spacing and thickness of one slice.

    Args:
        affine: (4, 4) of the volume, to LPS mm.
        index: of the slice.
    """
    column_mm, row_mm, step_mm = voxel_sizes(affine)
    items = Dataset()
    items.ImagePositionPatient = _decimal_strings(affine[:3, 3] + index * affine[:3, 2])
    items.ImageOrientationPatient = _decimal_strings([*affine[:3, 0] / column_mm, *affine[:3, 1] / row_mm])
    items.PixelSpacing = _decimal_strings([row_mm, column_mm])  # between rows first
    # slices touch; without SpacingBetweenSlices ITK takes 1 mm for a slice that it reads alone
    items.SliceThickness = items.SpacingBetweenSlices = _decimal_strings([step_mm])[0]
    return items


def nearest_slices(affine: np.ndarray, index: int, positions: np.ndarray, normals: np.ndarray) -> list[int]:
    """Indices of the source slices of a derived slice: the nearest one, or all where they are not parallel to it.

    Args:
        affine: (4, 4) of the derived volume, to LPS mm.
        index: of the derived slice.
        positions: (N, 3), a point of every source slice in LPS mm.
        normals: (N, 3), unit normals of the source slices.
    """
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal = normal / np.linalg.norm(normal)
    if (np.abs(normals @ normal) < PARALLEL_COSINE).any():
        return list(range(len(positions)))
    here = affine[:3, 3] + index * affine[:3, 2]
    return [int(np.abs((positions - here) @ normal).argmin())]


def _decimal_strings(numbers: Sequence[float] | np.ndarray) -> list[str]:
    """Numbers as DICOM decimal strings (DS) of at most 16 characters."""
    return [format_number_as_ds(float(np.round(number, DECIMALS)) + 0.0) for number in numbers]

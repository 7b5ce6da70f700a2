"""CT as attenuation map of PET: HU to linear attenuation at 511 keV, and the error of line integrals through the head.

The synthetic CT is compared with two maps that need no network: uniform water, and four tissue classes. Scatter and
the reconstruction of PET are no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from numpy.typing import ArrayLike
from scipy.ndimage import affine_transform, find_objects

from common.errors import ConfigError, DataError
from common.grids import is_invertible, show_affine
from common.metrics.masked import HU, Mask, Volume, checked_volumes
from common.metrics.tissue import BONE_HU, CAVITY_HU

WATER = 0.096
"""Linear attenuation of water at 511 keV in 1/cm."""
BONE_LINES = {
    80: (3.64e-5, 6.26e-2), 100: (4.43e-5, 5.44e-2), 110: (4.92e-5, 4.88e-2),
    120: (5.10e-5, 4.71e-2), 130: (5.51e-5, 4.24e-2), 140: (5.64e-5, 4.08e-2),
}  # fmt: skip
"""Slope in 1/cm per HU and offset in 1/cm of the line above the break point, by kVp (Carney et al. 2006)."""

FAT_HU = -30.0
"""Upper threshold of fat (Kim et al. 2012, adipose tissue in the CT of PET/CT)."""
CLASSES = {"air": 0.0, "fat": 0.086, "soft": 0.1, "bone": 0.151}
"""Linear attenuation of the four classes in 1/cm, as published for PET/MR (Wagenknecht et al. 2013, table 2)."""
CLASS_LIMITS = (CAVITY_HU, FAT_HU, BONE_HU)
"""HU between one class and the next: air cavities and bone as in the metrics of tissues."""

ANGLES = 12
"""Directions of rays in 180 degrees."""
RAY_SPACING_MM = 4.0
"""Distance of parallel rays in an axial plane, and of these planes: about that of a PET scanner's crystals."""
LEAST_INTEGRAL = WATER
"""Rays with a smaller line integral in the truth, that of 1 cm of water, are no rays through the head."""


def linear_attenuation(hu: ArrayLike, kvp: int = 120) -> Volume:
    """Linear attenuation at 511 keV in 1/cm, of the shape of ``hu``: two lines, continuous and rising, at least 0.

    Below the break point (30 to 52 HU) it is that of a mixture of water and air, 9.6e-5 (HU + 1000); above it a
    mixture of water and bone, whose line depends on the tube voltage of the CT.

    Args:
        hu: CT in HU, of any shape.
        kvp: tube voltage of the CT in kV, one of ``BONE_LINES``.

    Raises:
        ConfigError: there is no line for ``kvp``.
        DataError: a value is not finite.

    Source: Carney et al. 2006, Med Phys 33:976, equation and table of the bilinear transformation.
    """
    if kvp not in BONE_LINES:
        known = ", ".join(map(str, BONE_LINES))
        raise ConfigError("kvp", f"must be one of {known}", kvp, "give the closest voltage")
    above_air = np.asarray(hu, dtype=np.float64) + 1000
    if not np.isfinite(above_air).all():
        raise DataError("CT", "must be finite everywhere", "NaN or infinite voxels", "fill or fix them")
    slope, offset = BONE_LINES[kvp]
    # The lines cross at the break point; the lower of them needs no rounded break point and leaves no step.
    return np.maximum(np.minimum(WATER / 1000 * above_air, slope * above_air + offset), 0)


def class_attenuation(hu: ArrayLike) -> Volume:
    """Linear attenuation of the class of each voxel in 1/cm: air, fat, soft tissue, bone, by ``CLASS_LIMITS``.

    Of the true CT this is an ideal segmentation, which no MR gives: what remains is the error of one value per class.

    Args:
        hu: CT in HU, of any shape.
    """
    return np.array([*CLASSES.values()])[np.digitize(np.asarray(hu, dtype=np.float64), CLASS_LIMITS)]


def line_integrals(attenuation: ArrayLike, affine: ArrayLike, angles: int = ANGLES) -> Volume:
    """Integrals of a map along parallel rays in axial planes of the patient, without unit.

    The rays are placed in mm, whatever the axes of the voxels: ``RAY_SPACING_MM`` apart, symmetric to the middle of
    the volume. Values between voxels are linear, outside the volume they are 0.

    Args:
        attenuation: linear attenuation (X, Y, Z) in 1/cm.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        angles: directions, evenly in 180 degrees, the first with rays from left to right.

    Returns:
        (A, R, P): directions, rays of a plane, planes.

    Raises:
        DataError: the affine is not finite or singular.
    """
    volume, to_mm = np.asarray(attenuation, dtype=np.float64), _checked_affine(affine)
    # One voxel more on each side, where linear interpolation falls to 0.
    corners = apply_affine(to_mm, np.array([*np.ndindex(2, 2, 2)]) * (np.array(volume.shape) + 1) - 1)
    middle = corners.mean(axis=0)
    radius = np.linalg.norm((corners - middle)[:, :2], axis=1).max()
    height = np.abs(corners - middle)[:, 2].max()
    step = float(voxel_sizes(to_mm).min())
    counts = [2 * int(np.ceil(half / width)) + 1 for half, width in
              ((radius, RAY_SPACING_MM), (radius, step), (height, RAY_SPACING_MM))]  # fmt: skip
    to_voxels = np.linalg.inv(to_mm)
    integrals = []
    for angle in np.arange(angles) * np.pi / angles:
        along, across = (np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0)
        axes = np.array([across, along, (0, 0, 1)]).T * (RAY_SPACING_MM, step, RAY_SPACING_MM)
        matrix = to_voxels[:3, :3] @ axes
        start = apply_affine(to_voxels, middle) - matrix @ ((np.array(counts) - 1) / 2)
        sampled = affine_transform(volume, matrix, start, tuple(counts), order=1, mode="grid-constant", prefilter=False)
        integrals.append(sampled.sum(axis=1) * step / 10)
    return np.stack(integrals)


def attenuation_errors(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, kvp: int = 120
) -> dict[str, dict[str, float]]:
    """Errors of line integrals through the head of three attenuation maps, against that of the true CT.

    Maps: ``synthetic``, by the synthetic CT; ``water``, uniform inside the mask; ``classes``, of the true CT, see
    :func:`class_attenuation`. Outside the mask all of them are 0, so that table and headrest have no effect. Rays are
    those of :func:`line_integrals` whose integral in the truth is at least ``LEAST_INTEGRAL``.

    Args:
        pred: synthetic CT (X, Y, Z) in HU.
        truth: real CT (X, Y, Z) in HU.
        mask: the head (X, Y, Z), above 0 inside.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        kvp: tube voltage of the CT in kV, see :func:`linear_attenuation`.

    Returns:
        For each map, with d the line integral minus the true one: ``mae``, the mean of \\|d\\|; ``error``, ``p95`` and
        ``bias``, mean and 95th percentile of \\|d\\| and mean of d in percent of the true integral; ``acf_error`` and
        ``acf_bias``, mean of \\|exp(d) - 1\\| and of exp(d) - 1 in percent: the error of the attenuation correction
        factor exp(integral), by which PET multiplies the counts of a line. nan where no ray passes.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`; also where the truth is not three-dimensional
            or not in HU, or the affine is singular.
        ConfigError: there is no line for ``kvp``.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    to_mm = _checked_affine(affine)
    if truth.ndim != 3:
        raise DataError("truth", "must have 3 dimensions", truth.ndim, "pass one volume (X, Y, Z)")
    if truth.min() >= FAT_HU:
        rule, remedy = f"must be a CT in HU, with air or fat below {FAT_HU:g}", "convert it to HU, or score it without"
        raise DataError("truth", rule, f"a lowest value of {truth.min():g}", remedy)
    pred, truth, inside, to_mm = _cropped(pred, truth, inside, to_mm)

    def integrals(attenuation: Volume) -> Volume:
        return line_integrals(np.where(inside, attenuation, 0), to_mm)

    real = integrals(linear_attenuation(truth, kvp))
    through = real >= LEAST_INTEGRAL
    maps = {
        "synthetic": linear_attenuation(pred, kvp),
        "water": np.full(truth.shape, WATER),
        "classes": class_attenuation(truth),
    }
    return {name: _errors(integrals(each)[through], real[through]) for name, each in maps.items()}


def attenuation_scores(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, unit: str = HU, kvp: int = 120
) -> dict[str, float]:
    """Errors of a synthetic CT as attenuation map, and next to them those of water and of four classes.

    Returns:
        ``attenuation_mae``, ``attenuation_error``, ``attenuation_p95``, ``attenuation_bias``, ``acf_error`` and
        ``acf_bias`` of the synthetic CT; ``attenuation_error`` and ``acf_error`` with the suffixes ``_water`` and
        ``_classes``. Nothing in another ``unit`` than HU.

    Args and Raises: see :func:`attenuation_errors`.
    """
    if unit != HU:
        return {}
    errors = attenuation_errors(pred, truth, mask, affine, kvp)
    own = {_full_name(name): value for name, value in errors["synthetic"].items()}
    others = {
        f"{_full_name(name)}_{reference}": errors[reference][name]
        for reference in ("water", "classes")
        for name in ("error", "acf_error")
    }
    return own | others


def _full_name(name: str) -> str:
    return name if name.startswith("acf_") else f"attenuation_{name}"


def _errors(integrals: Volume, real: Volume) -> Mapping[str, float]:
    """Measures of the rays (N,) by name; nan without rays."""
    difference = integrals - real
    if not difference.size:
        return dict.fromkeys(("mae", "error", "p95", "bias", "acf_error", "acf_bias"), float("nan"))
    percent, factor = 100 * difference / real, 100 * np.expm1(difference)
    return {
        "mae": float(np.abs(difference).mean()),
        "error": float(np.abs(percent).mean()),
        "p95": float(np.percentile(np.abs(percent), 95)),
        "bias": float(percent.mean()),
        "acf_error": float(np.abs(factor).mean()),
        "acf_bias": float(factor.mean()),
    }


def _cropped(pred: Volume, truth: Volume, inside: Mask, affine: Volume) -> tuple[Volume, Volume, Mask, Volume]:
    """Volumes and affine cut to the mask's box: nothing outside is integrated."""
    box = find_objects(inside.astype(np.uint8))[0]
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, [side.start for side in box])
    return pred[box], truth[box], inside[box], moved


def _checked_affine(affine: ArrayLike) -> Volume:
    to_mm = np.asarray(affine, dtype=np.float64)
    if to_mm.shape != (4, 4):
        raise DataError("affine", "must have the shape (4, 4)", to_mm.shape, "pass that of the volume")
    if not is_invertible(to_mm):
        raise DataError("affine", "must be finite with three axes in mm", show_affine(to_mm), "fix the header")
    return to_mm

"""CT as attenuation map of PET: HU to linear attenuation at 511 keV, and the error of line integrals through the head.

The synthetic CT is compared with two maps that need no network: uniform water, and four tissue classes. Scatter and
the reconstruction of PET are no part of it.
"""

from __future__ import annotations

import logging

import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike
from scipy.ndimage import find_objects

from ..errors import ConfigError, DataError, choose
from ..transforms.body import CAVITY_HU
from ..units import BONE_ABOVE_HU, HU
from .line_integrals import checked_affine, line_integrals
from .masked import Mask, Volume, checked_volumes, mean_or_nan

logger = logging.getLogger(__name__)
WATER = 0.096
"""Linear attenuation of water at 511 keV in 1/cm."""
BONE_LINES = {
    80: (3.64e-5, 6.26e-2), 100: (4.43e-5, 5.44e-2), 110: (4.92e-5, 4.88e-2),
    120: (5.10e-5, 4.71e-2), 130: (5.51e-5, 4.24e-2), 140: (5.64e-5, 4.08e-2),
}  # fmt: skip
"""Slope in 1/cm per HU and offset in 1/cm of the line above the break point, by kVp (Carney et al. 2006)."""

FAT_HU = -30.0
"""Upper threshold of fat (adipose tissue in the CT of PET/CT: Kim et al. 2012, Nucl Med Mol Imaging 46:294)."""
CLASSES = {"air": 0.0, "fat": 0.086, "soft": 0.1, "bone": 0.151}
"""Linear attenuation of each class in 1/cm, as used in PET/MR (Wagenknecht et al. 2013, MAGMA 26:99, table 2)."""

LEAST_INTEGRAL = WATER
"""Rays with a smaller line integral in the truth, that of 1 cm of water, only graze the head."""


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
        raise ConfigError(f"--kvp is {kvp}", f"{choose(map(str, BONE_LINES))}, whichever is closest")
    above_air = _finite(hu) + 1000
    slope, offset = BONE_LINES[kvp]
    # The lines cross at the break point; the lower of them needs no rounded break point and leaves no step.
    return np.maximum(np.minimum(WATER / 1000 * above_air, slope * above_air + offset), 0)


def class_attenuation(hu: ArrayLike, bone_hu: float = BONE_ABOVE_HU) -> Volume:
    """Linear attenuation of the class of each voxel in 1/cm: air, fat, soft tissue, bone.

    The classes begin at ``CAVITY_HU``, ``FAT_HU`` and ``bone_hu``. Of the true CT this is an ideal segmentation, which
    no MR gives: what remains is the error of one value per class.

    Args:
        hu: CT in HU, of any shape.
        bone_hu: lower threshold of bone; by default that of the metrics of tissues. Published: 100 HU (Samarin et
            al. 2012, EJNMMI 39:1154). ``CLASSES`` has no value between soft tissue and compact bone, so that a low
            threshold gives marrow and thin bone too much.

    Raises:
        ConfigError: bone does not begin above fat.
        DataError: a value is not finite.
    """
    if not bone_hu > FAT_HU:
        raise ConfigError(f"--bone_hu is {bone_hu:g}, not above {FAT_HU:g}, the end of fat", "raise it")
    limits = (CAVITY_HU, FAT_HU, bone_hu)
    return np.array([*CLASSES.values()])[np.digitize(_finite(hu), limits)]


def ray_errors(integrals: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Errors of line integrals, over the rays whose integral in the truth is at least ``LEAST_INTEGRAL``.

    Args:
        integrals: of a map, (N,) or any shape.
        truth: of the true map, of the same shape.

    Returns:
        ``attenuation_mae``, the mean of abs(d), where d is the integral minus the true one; ``attenuation_error``,
        ``attenuation_p95`` and ``attenuation_bias``, mean and 95th percentile of abs(d) and mean of d, each in percent
        of the true integral of the ray; ``acf_error`` and ``acf_bias``, mean of abs(exp(d) - 1) and of exp(d) - 1 in
        percent: the error of the attenuation correction factor exp(integral), by which PET multiplies the counts of a
        line. nan where there is no such ray.
    """
    real = np.asarray(truth, dtype=np.float64)
    through = real >= LEAST_INTEGRAL
    difference = np.asarray(integrals, dtype=np.float64)[through] - real[through]
    percent, factor = 100 * difference / real[through], 100 * np.expm1(difference)
    return {
        "attenuation_mae": mean_or_nan(np.abs(difference)),
        "attenuation_error": mean_or_nan(np.abs(percent)),
        "attenuation_p95": float(np.percentile(np.abs(percent), 95)) if percent.size else float("nan"),
        "attenuation_bias": mean_or_nan(percent),
        "acf_error": mean_or_nan(np.abs(factor)),
        "acf_bias": mean_or_nan(factor),
    }


def attenuation_errors(
    pred: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike,
    affine: ArrayLike,
    kvp: int = 120,
    bone_hu: float = BONE_ABOVE_HU,
) -> dict[str, dict[str, float]]:
    """Errors of line integrals through the head of three attenuation maps, against that of the true CT.

    Maps: ``synthetic``, by the synthetic CT; ``water``, uniform inside the mask; ``classes``, of the true CT, see
    :func:`class_attenuation`. Outside the mask all of them are 0, so that table and headrest have no effect. For the
    rays see :func:`~common.metrics.line_integrals.line_integrals`.

    Args:
        pred: synthetic CT (X, Y, Z) in HU.
        truth: real CT (X, Y, Z) in HU.
        mask: the head (X, Y, Z), above 0 inside.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        kvp: tube voltage of the CT in kV, see :func:`linear_attenuation`.
        bone_hu: lower threshold of the class bone, see :func:`class_attenuation`.

    Returns:
        For each map the measures of :func:`ray_errors`.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`; also where the truth is not three-dimensional
            or not in HU, or the affine is singular.
        ConfigError: there is no line for ``kvp``, or bone does not begin above fat.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    to_mm = checked_affine(affine)
    if truth.ndim != 3:
        raise DataError(f"truth has {truth.ndim} dimensions, not 3", "pass one volume (X, Y, Z)")
    if truth.min() >= FAT_HU:
        fault = f"truth is not a CT in HU (its lowest value is {truth.min():g}, not below {FAT_HU:g})"
        raise DataError(fault, "convert it to HU, or score it without attenuation")
    pred, truth, inside, to_mm = _cropped(pred, truth, inside, to_mm)

    real_map = linear_attenuation(truth, kvp)
    maps = {
        "synthetic": linear_attenuation(pred, kvp),
        "water": np.full(truth.shape, WATER),
        "classes": class_attenuation(truth, bone_hu),
    }

    def integrals(attenuation: Volume) -> Volume:
        return line_integrals(np.where(inside, attenuation, 0), to_mm)

    real = integrals(real_map)
    return {name: ray_errors(integrals(each), real) for name, each in maps.items()}


def attenuation_scores(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, unit: str = HU, kvp: int = 120
) -> dict[str, float]:
    """Errors of a synthetic CT as attenuation map, and next to them those of water and of four classes.

    Returns:
        ``attenuation_mae``, ``attenuation_error``, ``attenuation_p95``, ``attenuation_bias``, ``acf_error`` and
        ``acf_bias`` of the synthetic CT; ``attenuation_error`` and ``acf_error`` with the suffixes ``_water`` and
        ``_classes``. Nothing in another ``unit`` than HU, and with a warning where the truth is not in HU.

    Args and Raises: see :func:`attenuation_errors`.
    """
    if unit != HU:
        return {}
    if np.min(truth) >= FAT_HU:
        logger.warning(f"attenuation is not measured: the truth has nothing below {FAT_HU:g} HU, as a CT has")
        return {}
    errors = attenuation_errors(pred, truth, mask, affine, kvp)
    return errors["synthetic"] | {
        f"{name}_{reference}": errors[reference][name]
        for reference in ("water", "classes")
        for name in ("attenuation_error", "acf_error")
    }


def _finite(hu: ArrayLike) -> Volume:
    values = np.asarray(hu, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError("CT has NaN or infinite voxels", "fill or fix them")
    return values


def _cropped(pred: Volume, truth: Volume, inside: Mask, affine: Volume) -> tuple[Volume, Volume, Mask, Volume]:
    """Volumes and affine cut to the mask's box: nothing outside is integrated."""
    box = find_objects(inside.astype(np.uint8))[0]
    moved = affine.copy()
    moved[:3, 3] = apply_affine(affine, [side.start for side in box])
    return pred[box], truth[box], inside[box], moved

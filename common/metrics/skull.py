"""Skull as ultrasound meets it: thickness, HU, porosity, skull density ratio and air along rays from scalp points.

What plans of transcranial focused ultrasound depend on, of any CT of a head, and next to the same rays of a true CT.
"""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from ..errors import DataError
from ..units import AIR_BELOW_HU, BONE_ABOVE_HU, HU, HU_OF_AIR
from .line_integrals import checked_affine
from .masked import Mask, Volume, checked_volumes, mean_or_nan

RAYS = 500
"""Rays of one head, evenly over the upper half of a sphere."""
BELOW_VERTEX_MM = 75.0
"""[chosen] where the rays meet, under the highest point of the head: about the level of the commissures, so that the
lowest rays pass the temporal bone and none the skull base."""
DEPTH_MM = 60.0
"""[chosen] a ray ends so far below the scalp."""
STEP_MM = 0.25
"""Distance of samples along a ray."""
GAP_MM = 8.0
"""[chosen] soft tissue of this length ends the skull; between its tables, marrow is thinner. Air does not end it."""
LEAST_SHARE = 0.5
"""Least share of the rays that meet a skull in a CT of a head."""
QUANTITIES = ("thickness", "hu", "porosity", "sdr")


@dataclass(frozen=True)
class SkullRays:
    """The skull on N rays, nan where a ray meets none.

    Attributes:
        points: where the rays enter the mask, (N, 3) in mm, right-anterior-superior.
        directions: of the rays, inwards, (N, 3), of length 1.
        thickness: mm from the outer side of the outer table to the inner side of the inner one, (N,).
        hu: mean HU in between.
        porosity: mean of 1 - HU / 1000 in between, in [0, 1] (Aubry et al. 2003, J Acoust Soc Am 113:84, equation 1).
        sdr: skull density ratio of marrow to cortical bone (Chang et al. 2016, J Neurosurg 124:411), which planning
            averages over the rays of a transducer: the lowest HU, at least 0, between two peaks over their mean, as
            Kranion's ``sdrShader`` has it; here the peaks are the highest HU of the outer and inner half. 1 without
            marrow.
        air: whether the ray meets air between the tables, as in the frontal sinus.
    """

    points: Volume
    directions: Volume
    thickness: Volume
    hu: Volume
    porosity: Volume
    sdr: Volume
    air: Mask

    @property
    def found(self) -> Mask:
        """Rays that meet a skull, (N,)."""
        return np.isfinite(self.thickness)


def skull_rays(ct: ArrayLike, mask: ArrayLike, affine: ArrayLike, count: int = RAYS) -> SkullRays:
    """The skull of a CT on rays from points of the scalp towards one point in the head.

    The rays meet ``BELOW_VERTEX_MM`` under the highest point of the mask, in the middle of the head above that level.
    Bone is what exceeds ``BONE_ABOVE_HU``, values between voxels are linear; the length is that along the ray, which is
    longer than across the skull where they do not meet at a right angle.

    Args:
        ct: (X, Y, Z) in HU.
        mask: the head (X, Y, Z), above 0 inside, without holes.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        count: rays.

    Raises:
        DataError: shapes differ, a value is not finite, the mask is empty, or the affine is singular.
    """
    values, _, inside = checked_volumes(ct, ct, mask)
    if values.ndim != 3:
        raise DataError(f"CT has {values.ndim} dimensions, not 3", "pass one volume (X, Y, Z)")
    return _along(values, _paths(inside, checked_affine(affine), count))


@dataclass(frozen=True)
class _Paths:
    """Samples of rays as voxel positions (3, N, S), which of them are inside the mask, and the rays in mm."""

    voxels: Volume
    inside: Mask
    points: Volume
    directions: Volume


def _paths(inside: Mask, affine: Volume, count: int) -> _Paths:
    """Rays that start outside the head, and from where each enters it."""
    places = apply_affine(affine, np.argwhere(inside))
    level = places[:, 2].max() - BELOW_VERTEX_MM
    upper = places[places[:, 2] >= level]
    centre = np.array([*(upper[:, :2].min(0) + upper[:, :2].max(0)) / 2, level])
    directions = -_half_sphere(count)
    radius = float(np.linalg.norm(upper - centre, axis=1).max()) + 1
    lengths = np.arange(0, radius + 2 * STEP_MM, STEP_MM)
    along = centre - radius * directions[:, None] + lengths[:, None] * directions[:, None]
    voxels = np.moveaxis(apply_affine(np.linalg.inv(affine), along), -1, 0)
    within = map_coordinates(inside.astype(np.float32), voxels, order=1, mode="constant") >= 0.5
    starts = np.where(within.any(1), within.argmax(1), len(lengths) - 1)
    shown = np.minimum(starts[:, None] + np.arange(int(DEPTH_MM / STEP_MM) + 1), len(lengths) - 1)
    rows = np.arange(count)[:, None]
    return _Paths(voxels[:, rows, shown], within[rows, shown], along[rows[:, 0], starts], directions)


def _half_sphere(count: int) -> Volume:
    """Directions spread evenly over the upper half of a sphere, (N, 3): points of a Fibonacci lattice."""
    height = (np.arange(count) + 0.5) / count
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(count)
    width = np.sqrt(1 - height**2)
    return np.stack([width * np.cos(turn), width * np.sin(turn), height], axis=1)


def _along(ct: Volume, paths: _Paths) -> SkullRays:
    """What each ray finds in a CT."""
    profiles = map_coordinates(ct, paths.voxels, order=1, mode="constant", cval=HU_OF_AIR)
    found = [_table_to_table(profile[within]) for profile, within in zip(profiles, paths.inside, strict=True)]
    measured = np.array([row[:4] for row in found], dtype=np.float64)
    air = np.array([row[4] for row in found], dtype=bool)
    thickness, hu, porosity, sdr = measured.T
    return SkullRays(paths.points, paths.directions, thickness, hu, porosity, sdr, air)


def _table_to_table(profile: NDArray[np.float64]) -> tuple[float, float, float, float, bool]:
    """Thickness, mean HU, porosity, density ratio and air of the first skull on a profile, inwards."""
    bone = np.flatnonzero(profile > BONE_ABOVE_HU)
    if not bone.size:
        return (np.nan, np.nan, np.nan, np.nan, False)
    air = np.concatenate([[0], np.cumsum(profile < AIR_BELOW_HU)])
    gaps = np.diff(bone) - 1 - (air[bone[1:]] - air[bone[:-1]])
    far = np.flatnonzero(gaps * STEP_MM > GAP_MM)
    first, last = int(bone[0]), int(bone[far[0]] if far.size else bone[-1])
    skull = profile[first : last + 1]
    thickness = STEP_MM * (last - first + _beyond(profile, first, -1) + _beyond(profile, last, 1))
    porosity = float(np.clip(1 - skull / 1000, 0, 1).mean())
    return thickness, float(skull.mean()), porosity, _density_ratio(skull), bool((skull < AIR_BELOW_HU).any())


def _beyond(profile: NDArray[np.float64], place: int, side: int) -> float:
    """Share of a step from a sample of bone to where the profile falls to the threshold."""
    if not 0 <= place + side < len(profile):
        return 0.0
    within, outside = profile[place], profile[place + side]
    return float((within - BONE_ABOVE_HU) / (within - outside))


def _density_ratio(skull: NDArray[np.float64]) -> float:
    middle = (len(skull) + 1) // 2
    outer = int(skull[:middle].argmax())
    inner = len(skull) - middle + int(skull[len(skull) - middle :].argmax())
    between = skull[outer : inner + 1]
    return float(max(between.min(), 0) / ((skull[outer] + skull[inner]) / 2))


def skull_errors(pred: SkullRays, truth: SkullRays) -> dict[str, float]:
    """Errors of a skull on the same rays as the true one.

    Returns:
        ``skull_thickness_error`` (mm), ``skull_hu_error`` and ``skull_porosity_error``, means of the absolute
        differences over the rays on which both have a skull, and their ``bias`` (prediction minus truth);
        ``sdr`` and ``sdr_truth``, means over these rays, and ``sdr_error``, the absolute difference of the means;
        ``skull_missed``, share of the truth's rays without a skull in the prediction; ``skull_air_error``, share of the
        rays on which only one of them has air between the tables.
    """
    both = truth.found & pred.found
    scores = {}
    for name in QUANTITIES[:3]:
        difference = (getattr(pred, name) - getattr(truth, name))[both]
        scores[f"skull_{name}_error"] = mean_or_nan(np.abs(difference))
        scores[f"skull_{name}_bias"] = mean_or_nan(difference)
    sdr, sdr_truth = mean_or_nan(pred.sdr[both]), mean_or_nan(truth.sdr[both])
    return scores | {
        "sdr": sdr,
        "sdr_truth": sdr_truth,
        "sdr_error": abs(sdr - sdr_truth),
        "skull_missed": _share(~pred.found[truth.found]),
        "skull_air_error": _share((pred.air != truth.air)[truth.found]),
    }


def _share(rays: Mask) -> float:
    return mean_or_nan(rays.astype(np.float64))


def skull_scores(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, affine: ArrayLike, unit: str = HU
) -> dict[str, float]:
    """The measures of :func:`skull_errors` of a synthetic CT; nothing where the true CT shows no head in HU.

    Args:
        pred: synthetic CT (X, Y, Z).
        truth: real CT (X, Y, Z).
        mask: the head (X, Y, Z), above 0 inside, without holes.
        affine: (4, 4) from voxels to mm, right-anterior-superior.
        unit: of both; in any other than HU nothing is measured.

    Raises:
        DataError: see :func:`skull_rays`; or the shapes differ.
    """
    if unit != HU:
        return {}
    made, real, inside = checked_volumes(pred, truth, mask)
    paths = _paths(inside, checked_affine(affine), RAYS)
    rays = _along(real, paths)
    return skull_errors(_along(made, paths), rays) if rays.found.mean() >= LEAST_SHARE else {}


def skull_map(quantity: Volume, rays: SkullRays, shape: tuple[int, ...], affine: ArrayLike) -> nib.nifti1.Nifti1Image:
    """A quantity of the rays as a NIfTI volume, in the voxels where they enter the head, nan elsewhere.

    Args:
        quantity: of each ray, (N,), such as the difference of two thicknesses in mm.
        rays: the rays.
        shape: of the volume, (X, Y, Z).
        affine: (4, 4) from its voxels to mm.
    """
    volume = np.full(shape, np.nan, np.float32)
    voxels = np.rint(apply_affine(np.linalg.inv(checked_affine(affine)), rays.points)).astype(int)
    volume[tuple(np.clip(voxels, 0, np.array(shape) - 1).T)] = quantity
    return nib.nifti1.Nifti1Image(volume, checked_affine(affine))

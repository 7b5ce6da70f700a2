"""Rigid and B-spline registration of two volumes by mutual information, by SimpleITK.

Mutual information of Mattes et al. 2003, rigid alignment first, then free-form deformation (Rueckert et al. 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ..io.itk_files import itk_image, simpleitk

WORKING_MM = 2.0
"""Spacing on which transforms are estimated, or that of the fixed volume where it is coarser."""
RIGID_LEVELS = ((8.0, 6.0), (4.0, 3.0), (2.0, 1.0))
"""Spacing and smoothing in mm, coarse to fine."""
WARP_LEVELS = ((4.0, 2.0), (2.0, 1.0))
"""[measured] T1 and T2 of a patient, moved rigidly: on voxels of 8 mm a B-spline moved the brain away by 1.6 mm, from 4
to 2 mm by .6 mm."""
SAMPLED = 300_000
"""Voxels of a grid that are sampled, all of a smaller one."""
NODE_MM = 40.0
"""Spacing of the B-spline's nodes. [measured] With 20 mm and fewer samples the brain moved away by 1.9 mm."""
BINS = 32
SEED = 1
"""Of the jitter with which voxels are sampled."""
ARM_MM = 80.0
"""Distance from the centre at which a rotation and a translation of equal length count the same."""
STEPS_MM = (4.0, 0.005)
"""First and last step of the rigid alignment."""
STEPS = 200
WARP_STEPS = 15


@dataclass(frozen=True)
class Alignment:
    """Transforms of ITK, from points of the fixed volume to points of the moving one (LPS mm): rigid, and all in one.

    ``whole`` is the composition of both, by which the moving volume is resampled once.
    """

    rigid: Any
    whole: Any


Grid = tuple[np.ndarray, np.ndarray]
"""Values (X, Y, Z) and affine (4, 4) to RAS mm."""


def align(here: Any, there: Any, masks: tuple[Grid, Grid], deform: bool = False, centred: bool = False) -> Alignment:
    """Estimate the transform that brings the moving volume onto the fixed one.

    The alignment starts from the given affines or with the centres of the masks on each other, whichever agrees better
    after the coarsest level.

    Args:
        here: image of :func:`working` of the volume that stays.
        there: that of the other volume.
        masks: bool, of head or body in each volume, on grids of their own; the metric is measured inside the first.
        deform: whether a B-spline follows the rigid alignment.
        centred: start from the centres alone.

    Raises:
        OutputError: the axes of a mask are not at right angles.
        RuntimeError: ITK finds too few voxels that overlap.
    """
    itk = simpleitk()
    inside = mask_on(masks[0], here)
    centres = [_centre(*mask) for mask in masks]
    rigid = _rigid(here, there, inside, centres, centred)
    parts = [rigid, _warp(here, there, inside, rigid)] if deform else [rigid]
    return Alignment(rigid, itk.CompositeTransform(parts))


def working(values: np.ndarray, affine: np.ndarray) -> Any:
    """A volume as ITK's image of about ``WORKING_MM``, float32 in [0, 1] between its 0.5th and 99.5th percentile.

    Args:
        values: (X, Y, Z) in any unit, finite.
        affine: (4, 4) to RAS mm.

    Raises:
        OutputError: its axes are not at right angles.
    """
    low, high = np.percentile(values, (0.5, 99.5))
    scaled = np.clip((values - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1).astype(np.float32)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = np.where(spacing < WORKING_MM, 0.4 * WORKING_MM / spacing, 0)
    image = itk_image(ndimage.gaussian_filter(scaled, sigma), affine, "volume")
    wanted = np.maximum(spacing, WORKING_MM)
    size = np.maximum(1, np.ceil(np.array(scaled.shape) * spacing / wanted - 1e-6)).astype(int)
    grid = simpleitk().Image(size.tolist(), simpleitk().sitkUInt8)
    grid.SetSpacing(wanted.tolist())
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin(image.GetOrigin())
    return on_grid(image, grid, simpleitk().sitkLinear)


def on_grid(image: Any, grid: Any, interpolator: int, transform: Any = None, outside: float = 0.0) -> Any:
    """An image of ITK resampled onto the grid of another one, by a transform from its points."""
    itk = simpleitk()
    return itk.Resample(image, grid, transform or itk.Transform(), interpolator, outside, image.GetPixelID())


def mask_on(mask: Grid, grid: Any, transform: Any = None) -> Any:
    """A mask on the grid of an image of ITK, by the nearest voxel, uint8."""
    image = itk_image(mask[0].astype(np.uint8), mask[1], "mask")
    return on_grid(image, grid, simpleitk().sitkNearestNeighbor, transform)


def _centre(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre of mass of a mask in LPS mm; of the volume where the mask is empty."""
    middle = ndimage.center_of_mass(mask) if mask.any() else (np.array(mask.shape) - 1) / 2
    ras = affine[:3, :3] @ np.asarray(middle) + affine[:3, 3]
    return np.asarray(ras * (-1, -1, 1))


Levels = tuple[tuple[float, float], ...]


def _method(inside: Any, levels: Levels) -> Any:
    itk = simpleitk()
    factors = [max(1, round(mm / max(inside.GetSpacing()))) for mm, _ in levels]
    shares = [min(1.0, SAMPLED * factor**3 / inside.GetNumberOfPixels()) for factor in factors]
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(inside)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel(shares, SEED)
    method.SetShrinkFactorsPerLevel(factors)
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInterpolator(itk.sitkLinear)
    method.SetNumberOfThreads(1)  # the order in which several add up the metric would change the result
    return method


def _rigid(here: Any, there: Any, inside: Any, centres: list[np.ndarray], centred: bool) -> Any:
    """The rigid transform; the coarsest level is tried from each start.

    No movement where the given affines agree better than what was found: coarse levels can lead away from them, and
    edges between uniform regions on one grid have a peak too narrow to be climbed again.
    """
    shifts = [centres[1] - centres[0]] if centred else [np.zeros(3), centres[1] - centres[0]]
    found: list[tuple[Any, float]] = []
    for shift in shifts:
        start = simpleitk().Euler3DTransform()
        start.SetCenter(centres[0].tolist())
        start.SetTranslation(shift.tolist())
        try:
            found.append(_stepped(here, there, inside, start, RIGID_LEVELS[:1], STEPS_MM[0]))
        except RuntimeError:  # of ITK, where the volumes hardly overlap from here
            if shift is shifts[-1] and not found:
                raise
    best = min(found, key=lambda each: each[1])[0]
    best = _stepped(here, there, inside, best, RIGID_LEVELS[1:], STEPS_MM[0] / 4)[0]
    given = simpleitk().Euler3DTransform()
    given.SetCenter(centres[0].tolist())
    candidates = [best] if centred else [best, given]
    return min(candidates, key=lambda each: _disagreement(here, there, inside, each))


def _disagreement(here: Any, there: Any, inside: Any, transform: Any) -> float:
    """The metric of a transform on the working grid, the smaller the better; infinite where too few voxels overlap."""
    method = _method(inside, ((max(inside.GetSpacing()), 0.0),))
    method.SetInitialTransform(transform)
    try:
        return float(method.MetricEvaluate(here, there))
    except RuntimeError:
        return float("inf")


def _stepped(here: Any, there: Any, inside: Any, start: Any, levels: Levels, step: float) -> tuple[Any, float]:
    method = _method(inside, levels)
    method.SetOptimizerAsRegularStepGradientDescent(step, STEPS_MM[1], STEPS, 0.5, 1e-8)
    method.SetOptimizerScales([ARM_MM**2] * 3 + [1.0] * 3)
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(here, there)
    return start, float(method.GetMetricValue())


def _warp(here: Any, there: Any, inside: Any, rigid: Any) -> Any:
    """The B-spline that follows the rigid transform."""
    itk = simpleitk()
    extent = np.array(here.GetSize()) * here.GetSpacing()
    spline = itk.BSplineTransformInitializer(here, np.maximum(1, np.round(extent / NODE_MM)).astype(int).tolist(), 3)
    method = _method(inside, WARP_LEVELS)
    method.SetMovingInitialTransform(rigid)
    method.SetInitialTransform(spline, inPlace=True)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-5, numberOfIterations=WARP_STEPS)
    method.Execute(here, there)
    return spline

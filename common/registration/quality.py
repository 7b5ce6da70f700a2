"""Quality gate of a registration: agreement before and after, and how far and how evenly the volume was deformed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.checks.misregistration import binned, is_gain, mutual_information
from ..io.itk_files import simpleitk
from .align import WORKING_MM, Alignment, Grid, mask_on, on_grid

SHIFT_MM = 4.0
"""Trial shift along each axis, or a voxel where that is longer, which measures the sharpness of a registration."""


@dataclass(frozen=True)
class Limits:
    """What a registration must keep to.

    Args:
        sharpness: see :class:`Quality`. [measured] heads of one patient lie above, unless they are
            warped, those of two below (docs/results/mr-to-ct.md).
        dice: least Dice of the two bodies.
        jacobian: least and largest determinant of the Jacobian.
        displacement: largest displacement by the B-spline, in mm.
        covered: least share of the fixed body that the moving volume covers.
    """

    sharpness: float = 0.05
    dice: float = 0.9
    jacobian: tuple[float, float] = (0.2, 5.0)
    displacement: float = 20.0
    covered: float = 0.5


@dataclass(frozen=True)
class Quality:
    """Numbers of one registration, measured inside the fixed body.

    Args:
        information: mutual information in nats, before and after.
        sharpness: mutual information of the rigid alignment that a shift of ``SHIFT_MM`` loses, the mean of both
            directions of all axes, as a share of the moved volume's entropy. A deformation would make two people alike.
        dice: of the bodies where the moving volume covers the fixed one, before and after.
        covered: share of the fixed body that the moving volume covers after the registration.
        jacobian: least and largest determinant of the transform's Jacobian.
        displacement: largest displacement by the B-spline, in mm.
        median_displacement: its median, in mm.
        rotation: of the rigid part, in degrees.
        translation: of the body's centre by the rigid part, in mm.
    """

    information: tuple[float, float]
    sharpness: float
    dice: tuple[float, float]
    covered: float
    jacobian: tuple[float, float]
    displacement: float
    median_displacement: float
    rotation: float
    translation: float

    def faults(self, limits: Limits) -> Iterator[str]:
        """What exceeds the limits, with its number."""
        low, high = self.jacobian
        if self.covered < limits.covered:
            yield f"the target covers {self.covered:.0%} of the source's body, less than {limits.covered:.0%}"
        if self.information[1] < self.information[0]:
            yield "mutual information fell from {:.3f} to {:.3f}".format(*self.information)
        if self.sharpness < limits.sharpness:
            yield f"sharpness is {self.sharpness:.3f}, below {limits.sharpness:g}, as with another patient's scan"
        if self.dice[1] < limits.dice:
            yield f"the Dice of the bodies is {self.dice[1]:.3f}, below {limits.dice:g}"
        if low < limits.jacobian[0] or high > limits.jacobian[1]:
            bounds = "{:g} to {:g}".format(*limits.jacobian)
            yield f"the Jacobian determinant is {low:.2f} to {high:.2f}, outside {bounds}"
        if self.displacement > limits.displacement:
            yield f"the deformation reaches {self.displacement:.1f} mm, over {limits.displacement:g} mm"


def without_needless_warp(here: Any, there: Any, body: np.ndarray, alignment: Alignment) -> Alignment:
    """The rigid alignment alone where the B-spline raises mutual information by no more than noise explains.

    [measured] On a rigidly moved CT of a head it moved the brain away by 1.5 mm, and raised nothing.

    Args:
        here: image of :func:`common.registration.align.working` of the volume that stays.
        there: that of the other volume, as it was given.
        body: bool, of the body, on the grid of ``here``.
        alignment: of the moving volume.
    """
    still = array(here)
    rigid, whole = (_information(still, there, here, each, body) for each in (alignment.rigid, alignment.whole))
    needed = is_gain(rigid, whole)
    return alignment if needed else Alignment(alignment.rigid, simpleitk().CompositeTransform([alignment.rigid]))


def without_needless_move(here: Any, there: Any, body: np.ndarray, alignment: Alignment) -> Alignment:
    """No movement where it is below half a working voxel in the body, and lowers mutual information.

    Args:
        here, there, body, alignment: as of :func:`without_needless_warp`.
    """
    itk = simpleitk()
    far = np.linalg.norm(_displacement(alignment.whole, here), axis=0)[body]
    if far.max(initial=0) > WORKING_MM / 2:
        return alignment
    none = itk.Euler3DTransform()
    before, after = (_information(array(here), there, here, each, body) for each in (none, alignment.whole))
    return Alignment(none, itk.CompositeTransform([none])) if after < before else alignment


def measure(here: Any, there: Any, body: np.ndarray, body_there: Grid, alignment: Alignment) -> Quality:
    """Measure a registration on the working grid of the fixed volume.

    Args:
        here, there, body, alignment: as of :func:`without_needless_warp`.
        body_there: bool, of the body in the other volume, on a grid of its own.
    """
    still, agreement = array(here), []
    for transform in (simpleitk().Transform(), alignment.whole):
        inside = _covered(there, here, transform)
        both, other = body & inside, array(mask_on(body_there, here, transform)) > 0
        dice = 2 * (both & other).sum() / max(1, both.sum() + other.sum())
        agreement.append((_information(still, there, here, transform, both), float(dice), float(inside[body].mean())))
    whole, rigid = (_displacement(transform, here) for transform in (alignment.whole, alignment.rigid))
    stretched = _determinant(whole, here)[body]
    far = np.linalg.norm(whole - rigid, axis=0)[body]
    turn = np.reshape(alignment.rigid.GetMatrix(), (3, 3))
    return Quality(
        information=(agreement[0][0], agreement[1][0]),
        sharpness=_sharpness(still, there, here, alignment.rigid, body & _covered(there, here, alignment.rigid)),
        dice=(agreement[0][1], agreement[1][1]),
        covered=agreement[1][2],
        jacobian=(float(stretched.min()), float(stretched.max())),
        displacement=float(far.max()),
        median_displacement=float(np.median(far)),
        rotation=float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))),
        translation=float(np.linalg.norm(alignment.rigid.GetTranslation())),
    )


def _covered(there: Any, here: Any, transform: Any) -> np.ndarray:
    """Which voxels of a grid an image covers that is moved, bool."""
    itk = simpleitk()
    seen = itk.Image(there.GetSize(), itk.sitkUInt8) + 1
    seen.CopyInformation(there)
    covered: np.ndarray = array(on_grid(seen, here, itk.sitkNearestNeighbor, transform)) > 0
    return covered


def _sharpness(still: np.ndarray, there: Any, here: Any, rigid: Any, region: np.ndarray) -> float:
    """Sharpness of a rigid alignment in a region."""
    itk = simpleitk()
    axes = np.reshape(here.GetDirection(), (3, 3)) * np.maximum(here.GetSpacing(), SHIFT_MM)
    shifts = (itk.TranslationTransform(3, (sign * axes[:, axis]).tolist()) for axis in range(3) for sign in (-1, 1))
    shifted = [itk.CompositeTransform([rigid, shift]) for shift in shifts]
    best, *left = (_information(still, there, here, transform, region) for transform in (rigid, *shifted))
    moved = array(on_grid(there, here, itk.sitkLinear, rigid))
    entropy = _information(moved, there, here, rigid, region)  # of a volume and itself
    return (best - float(np.mean(left))) / entropy if entropy else 0.0


def _information(still: np.ndarray, there: Any, here: Any, transform: Any, region: np.ndarray) -> float:
    """Mutual information of a volume and another one that is moved, in a region; 0 in an empty one."""
    if not region.any():
        return 0.0
    moved = array(on_grid(there, here, simpleitk().sitkLinear, transform))
    return mutual_information(binned(still[region]), binned(moved[region]))


def array(image: Any) -> np.ndarray:
    """Values of an image of ITK, (X, Y, Z), or (3, X, Y, Z) of a field."""
    values: np.ndarray = simpleitk().GetArrayFromImage(image).T
    return values


def _displacement(transform: Any, grid: Any) -> np.ndarray:
    """Displacement of the voxels of a grid, (3, X, Y, Z) in LPS mm."""
    shape = (grid.GetSize(), grid.GetOrigin(), grid.GetSpacing(), grid.GetDirection())
    return array(simpleitk().TransformToDisplacementField(transform, simpleitk().sitkVectorFloat64, *shape))


def _determinant(displacement: np.ndarray, grid: Any) -> np.ndarray:
    """Determinant of the Jacobian (X, Y, Z); ITK's own filter leaves the direction of the axes out of account."""
    steps = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    columns = [np.moveaxis(np.gradient(displacement, axis=1 + axis), 0, -1) + steps[:, axis] for axis in range(3)]
    found: np.ndarray = np.linalg.det(np.stack(columns, axis=-1)) / np.linalg.det(steps)
    return found

"""Affine of a stack of slices; refusal or resampling of gaps and gantry tilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....errors import Finding, VolumeError, Where
from ....grids import LPS_TO_RAS, is_sheared
from .acquisitions import STRAIGHT_MM, line_through
from .headers import MISSING_SLICES, Slice, element_value
from .orthogonal import OrthogonalGrid, orthogonal_grid
from .stack import Stack

UNEVEN, TILTED = RESAMPLED = ("slices are unevenly spaced", "slices are not stacked along their normal")
"""Faults of stacks that ``resample_tilt`` resamples; a warning of such a volume begins with one."""
LEAST_TILT = 0.5
"""Degrees up to which a header's tilt of the gantry counts as none."""
RESAMPLE = "pass --resample_tilt true to resample onto an orthogonal grid"


@dataclass(frozen=True)
class Geometry:
    """The affine (4, 4) to RAS mm; ``resampling`` is the grid to resample the slices to, with a note on the reason."""

    affine: np.ndarray
    resampling: OrthogonalGrid | None = None
    notes: tuple[Finding, ...] = ()


def stack_geometry(stack: Stack, resample_tilt: bool, where: Where) -> Geometry:
    """Compute the affine of a stack with evenly spaced slices along their normal.

    Args:
        stack: of at least two slices.
        resample_tilt: whether other stacks get the grid of
            :func:`common.io.dicom.reading.orthogonal.orthogonal_grid` and a note; otherwise they are refused.
        where: for messages.

    Raises:
        VolumeError: uneven spacing or a tilt without ``resample_tilt``; the message gives place and mm.
    """
    affine, away = _affine(stack)
    fault = _fault(stack, affine, away)
    if fault is None:
        return Geometry(LPS_TO_RAS @ affine, notes=tuple(_unseen_tilt(stack, where)))
    if not resample_tilt:
        raise VolumeError(where(*fault))
    grid = orthogonal_grid(stack, where)
    x, y, z = grid.shape
    done = f"resampled onto an orthogonal grid of {x} x {y} x {z} voxels, {grid.step:.3f} mm from slice to slice"
    notes = [where(*fault[:2], done, "warning")]
    if grid.missing:
        notes.append(where(MISSING_SLICES, f"{grid.missing} of {z}", "look at them with care", "warning"))
    return Geometry(LPS_TO_RAS @ grid.lps, grid, tuple(notes))


def _affine(stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """The affine to LPS, whose slices lie on the line through the positions, and how far (N, 3) each is off."""
    plane, affine = stack.plane, np.eye(4)
    affine[:3, 0], affine[:3, 1] = plane.across * plane.spacing[0], plane.down * plane.spacing[1]
    affine[:3, 3], affine[:3, 2], away = line_through(stack.positions)
    return affine, away


def _fault(stack: Stack, affine: np.ndarray, away: np.ndarray) -> tuple[str, str, str] | None:
    """Fault, value and remedy of uneven spacing or tilt; None for a regular grid."""
    gaps = np.diff(stack.positions, axis=0) @ stack.plane.normal
    if np.abs(away @ stack.plane.normal).max() > STRAIGHT_MM:
        at = int(gaps.argmax())
        widths = (
            f"gaps from {_mm(gaps.min())} to {_mm(gaps.max())} mm, usually {_mm(np.median(gaps))} mm, the widest"
            f" between slices {at + 1} and {at + 2} of {len(gaps) + 1}:"
            f" {stack.slices[at].name} and {stack.slices[at + 1].name}"
        )
        return UNEVEN, widths, f"find the missing or duplicate slice, or {RESAMPLE}"
    if np.linalg.norm(away, axis=1).max() > STRAIGHT_MM or is_sheared(affine):
        step = affine[:3, 2]
        aside = np.linalg.norm(step - stack.plane.normal * (step @ stack.plane.normal))
        degrees = np.degrees(np.arctan2(aside, gaps.mean()))
        tilt = f"tilt of {_mm(float(aside))} mm a slice, {degrees:.2f} degrees"
        return TILTED, tilt, RESAMPLE
    return None


def _unseen_tilt(stack: Stack, where: Where) -> list[Finding]:
    """A note where a header has a tilt of the gantry that positions and orientations do not show."""
    tilts = [abs(_tilt(each, where)) for each in stack.slices]
    if max(tilts) <= LEAST_TILT:
        return []
    remedy = "positions and orientations are used, as after a correction of the tilt: correct them if that is wrong"
    return [
        where(
            "GantryDetectorTilt, but slices are stacked along their normal",
            f"{max(tilts):g} degrees",
            remedy,
            "warning",
        )
    ]


def _tilt(each: Slice, where: Where) -> float:
    """Degrees in the header; 0 where it has none, or no number."""
    try:
        return float(element_value(each, "GantryDetectorTilt", where) or 0)
    except (TypeError, ValueError):
        return 0.0


def _mm(length: float) -> str:
    """A length in mm, without zeros at its end."""
    return f"{round(float(length), 3):g}"

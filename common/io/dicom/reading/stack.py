"""Slices of one series as a stack: one size, one orientation, ordered by position, one slice a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import VolumeError, Where
from common.io.dicom.reading.headers import Slice, numbers, text
from common.io.dicom.reading.phases import one_phase

UNIT_TOLERANCE = 1e-3
"""Of the length of direction cosines and of the cosine between them; headers of three decimals keep it."""
SAME_DIRECTION = 1e-4
"""Difference of cosines up to which slices count as parallel: 0.03 mm at the end of 300 mm."""
SAME_PLACE_MM = 0.01
FARTHEST_MM = 1e5
LARGEST_SPACING_MM = 1e3


@dataclass(frozen=True)
class Plane:
    """What all slices share: pixels (columns, rows), mm from column to column and row to row, directions in LPS."""

    shape: tuple[int, int]
    spacing: tuple[float, float]
    across: np.ndarray
    down: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """The direction of the volume's third axis in LPS."""
        return np.cross(self.across, self.down)


@dataclass(frozen=True)
class Stack:
    """Slices along the normal with their positions (N, 3) in LPS mm.

    ``doubled`` are pairs of a slice that was kept and one at the same position that was not, for the pixels to decide.
    """

    slices: list[Slice]
    positions: np.ndarray
    plane: Plane
    doubled: list[tuple[Slice, Slice]]


def arrange(slices: Sequence[Slice], phase: int | None, where: Where) -> Stack:
    """Order slices by their position along the normal, whatever their names and numbers.

    Args:
        slices: of one series.
        phase: which acquisition to take, from 1, where there are several at the same positions.
        where: for messages.

    Raises:
        VolumeError: fields that are absent or not what they should be, slices of several sizes, spacings, orientations
            or frames of reference, several acquisitions without a ``phase``, fewer than two positions.
    """
    plane = _plane(slices, where)
    positions = np.array([numbers(each, "ImagePositionPatient", 3, where) for each in slices])
    if np.abs(positions).max() > FARTHEST_MM:
        found = f"{np.abs(positions).max():.3g} mm"
        raise VolumeError(where(f"a slice lies within {FARTHEST_MM:g} mm", found, "export the series again"))
    heights = positions @ plane.normal
    order = sorted(range(len(slices)), key=lambda i: (heights[i], slices[i].path.name, slices[i].frame or 0))
    levels = np.concatenate([[0], np.cumsum(np.diff(heights[order]) > SAME_PLACE_MM)])
    if levels[-1] < 1:
        found = f"{len(slices)} at 1 position"
        raise VolumeError(where("a volume has slices at 2 positions or more", found, "give the whole series"))
    ordered, positions = [slices[i] for i in order], positions[order]
    kept: list[int] = []
    doubled: list[tuple[Slice, Slice]] = []
    for place in one_phase(ordered, levels, phase, where):
        if kept and levels[place] == levels[kept[-1]]:
            doubled.append((ordered[kept[-1]], ordered[place]))
            _require_same_place(positions[kept[-1]], positions[place], doubled[-1], where)
        else:
            kept.append(place)
    if len(kept) < 2:
        raise VolumeError(where("a volume has slices at 2 positions or more", "1 in this phase", "choose another"))
    return Stack([ordered[place] for place in kept], positions[kept], plane, doubled)


def _require_same_place(one: np.ndarray, other: np.ndarray, pair: tuple[Slice, Slice], where: Where) -> None:
    """Slices at one height that lie beside each other are parts of no stack."""
    if np.abs(one - other).max() > SAME_PLACE_MM:
        found = f"{pair[0].name} and {pair[1].name} {np.linalg.norm(one - other):.3f} mm apart in one plane"
        raise VolumeError(where("slices lie above each other", found, "keep one of them"))


def _plane(slices: Sequence[Slice], where: Where) -> Plane:
    rows, columns = (_common(slices, name, 1, 0, where)[0] for name in ("Rows", "Columns"))
    across, down = _common(slices, "ImageOrientationPatient", 6, SAME_DIRECTION, where).reshape(2, 3)
    lengths = np.linalg.norm([across, down], axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE or abs(across @ down) > UNIT_TOLERANCE:
        found = f"lengths {lengths[0]:.4f} and {lengths[1]:.4f}, product {across @ down:.4f}"
        rule = "ImageOrientationPatient is two unit vectors at right angles"
        raise VolumeError(where(rule, found, "export the series again"))
    row_mm, column_mm = _common(slices, "PixelSpacing", 2, 1e-4, where)  # between rows first
    if not 0 < min(row_mm, column_mm) <= max(row_mm, column_mm) <= LARGEST_SPACING_MM:
        found, remedy = f"{row_mm:g} and {column_mm:g}", "export the series again"
        raise VolumeError(where(f"PixelSpacing is above 0 and at most {LARGEST_SPACING_MM:g} mm", found, remedy))
    if min(rows, columns) < 1:
        raise VolumeError(where("slices have pixels", f"{columns:g} x {rows:g}", "export the series again"))
    frames = {text(each, "FrameOfReferenceUID", where) for each in slices}
    if len(frames) > 1:
        rule, found = "slices have one frame of reference", f"{len(frames)} values of FrameOfReferenceUID"
        raise VolumeError(where(rule, found, "keep one of them"))
    return Plane((int(columns), int(rows)), (column_mm, row_mm), across / lengths[0], down / lengths[1])


def _common(slices: Sequence[Slice], name: str, count: int, tolerance: float, where: Where) -> np.ndarray:
    """The value that all slices share."""
    first = numbers(slices[0], name, count, where)
    for each in slices[1:]:
        if np.abs(numbers(each, name, count, where) - first).max() > tolerance:
            rule, found = f"all slices have one {name}", f"another in {each.name} than in {slices[0].name}"
            raise VolumeError(where(rule, found, "keep the slices that belong together"))
    return first

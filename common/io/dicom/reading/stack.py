"""Stack of slices: one size and orientation, ordered by position, one slice per position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import Finding, VolumeError, Where
from .headers import Slice, element_numbers, element_text
from .phases import select_phase

UNIT_TOLERANCE = 1e-3
"""Tolerance of the length of direction cosines and of their product; headers with three decimals stay within it."""
SAME_DIRECTION = 1e-4
"""Largest difference of direction cosines of parallel slices: 0.03 mm over 300 mm."""
SAME_PLACE_MM = 0.01
FARTHEST_MM = 1e5
LARGEST_SPACING_MM = 1e3
ONE_UID = "anonymise again with one UID for all slices of the series"
"""Remedy where each slice has another value of a UID that a whole series shares."""


@dataclass(frozen=True)
class Plane:
    """In-plane geometry of all slices: shape (columns, rows), spacing of columns and rows in mm, directions in LPS."""

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

    ``duplicates`` are pairs of a slice in the stack and another one at its position, whose pixels must be equal;
    ``several`` is the error where they are not, of acquisitions that are read as one volume.
    """

    slices: list[Slice]
    positions: np.ndarray
    plane: Plane
    duplicates: list[tuple[Slice, Slice]]
    notes: tuple[Finding, ...] = ()
    several: Finding | None = None


def build_stack(slices: Sequence[Slice], phase: int | None, where: Where) -> Stack:
    """Order slices by their position along the normal, independent of names and instance numbers.

    Args:
        slices: of one series.
        phase: the acquisition to take, from 1, of several at the same positions.
        where: for messages.

    Raises:
        VolumeError: absent or invalid elements; slices of different size, spacing, orientation or frame of reference;
            several acquisitions without a ``phase``; fewer than two positions.
    """
    plane = _plane(slices, where)
    positions = np.array([element_numbers(each, "ImagePositionPatient", 3, where) for each in slices])
    if np.abs(positions).max() > FARTHEST_MM:
        fault, farthest = f"a slice lies beyond {FARTHEST_MM:g} mm", f"{np.abs(positions).max():.3g} mm"
        raise VolumeError(where(fault, farthest, "export the series again"))
    heights = positions @ plane.normal
    order = sorted(range(len(slices)), key=lambda i: (heights[i], slices[i].path.name, slices[i].frame or 0))
    levels = np.concatenate([[0], np.cumsum(np.diff(heights[order]) > SAME_PLACE_MM)])
    if levels[-1] < 1:
        raise VolumeError(where("all slices lie at one position", f"{len(slices)} of them", "pass the whole series"))
    ordered, positions = [slices[i] for i in order], positions[order]
    kept: list[int] = []
    duplicates: list[tuple[Slice, Slice]] = []
    selection = select_phase(ordered, levels, positions, phase, where)
    for place in selection.places:
        if kept and levels[place] == levels[kept[-1]]:
            duplicates.append((ordered[kept[-1]], ordered[place]))
            _require_same_place(positions[kept[-1]], positions[place], duplicates[-1], where)
        else:
            kept.append(place)
    if len(kept) < 2:
        raise VolumeError(where("slices at a single position in this phase", "", "choose another --phase"))
    own = [ordered[place] for place in kept]
    return Stack(own, positions[kept], plane, duplicates, selection.notes, selection.several)


def _require_same_place(one: np.ndarray, other: np.ndarray, pair: tuple[Slice, Slice], where: Where) -> None:
    """Refuse slices at one height with different in-plane positions, which form no stack."""
    if np.abs(one - other).max() > SAME_PLACE_MM:
        distance = f"{pair[0].name} and {pair[1].name}, {np.linalg.norm(one - other):.3f} mm apart"
        raise VolumeError(where("slices side by side in one plane", distance, "keep one of them"))


def _plane(slices: Sequence[Slice], where: Where) -> Plane:
    rows, columns = (_common(slices, name, 1, 0, where)[0] for name in ("Rows", "Columns"))
    across, down = _common(slices, "ImageOrientationPatient", 6, SAME_DIRECTION, where).reshape(2, 3)
    lengths = np.linalg.norm([across, down], axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE or abs(across @ down) > UNIT_TOLERANCE:
        vectors = f"lengths {lengths[0]:.4f} and {lengths[1]:.4f}, product {across @ down:.4f}"
        fault = "ImageOrientationPatient is not two unit vectors at right angles"
        raise VolumeError(where(fault, vectors, "export the series again"))
    row_mm, column_mm = _common(slices, "PixelSpacing", 2, 1e-4, where)  # between rows first
    if not 0 < min(row_mm, column_mm) <= max(row_mm, column_mm) <= LARGEST_SPACING_MM:
        fault = f"PixelSpacing is not above 0 and at most {LARGEST_SPACING_MM:g} mm"
        raise VolumeError(where(fault, f"{row_mm:g} and {column_mm:g}", "export the series again"))
    if min(rows, columns) < 1:
        raise VolumeError(where("slices without pixels", f"{columns:g} x {rows:g}", "export the series again"))
    frames = {element_text(each, "FrameOfReferenceUID", where) for each in slices}
    if len(frames) > 1:
        number = f"{len(frames)} values of FrameOfReferenceUID"
        remedy = ONE_UID if len(frames) == len(slices) else "keep one of them"
        raise VolumeError(where("slices of several frames of reference", number, remedy))
    return Plane((int(columns), int(rows)), (column_mm, row_mm), across / lengths[0], down / lengths[1])


def _common(slices: Sequence[Slice], name: str, count: int, tolerance: float, where: Where) -> np.ndarray:
    """The value of an element that all slices have in common."""
    first = element_numbers(slices[0], name, count, where)
    for each in slices[1:]:
        if np.abs(element_numbers(each, name, count, where) - first).max() > tolerance:
            files = f"{each.name} and {slices[0].name}"
            raise VolumeError(where(f"slices differ in {name}", files, "keep the slices that belong together"))
    return first

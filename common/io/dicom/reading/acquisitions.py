"""Acquisitions of one series that continue each other, and how evenly slices lie on their line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ....errors import Finding, Where

STRAIGHT_MM = 0.05
"""Largest distance of a slice from its place on an evenly spaced line; headers with one decimal stay within it."""


def line_through(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The evenly spaced line through positions (N, 3) by least squares: its start, its step, and how far each is off.

    Distances (N, 3) are from the position of the same number on the line.
    """
    first = positions[0]
    start, step = np.polynomial.polynomial.polyfit(np.arange(len(positions)), positions - first, 1)
    return first + start, step, positions - (first + start + np.arange(len(positions))[:, None] * step)


def continue_each_other(groups: Sequence[Sequence[int]], levels: np.ndarray, positions: np.ndarray) -> bool:
    """Whether each acquisition is a block of slices that goes on where another one ends, on one evenly spaced line.

    Blocks may share slices, but each reaches further than the one before; interleaved ones, time points of one field
    of view and blocks with a gap between them do not continue each other.

    Args:
        groups: indices of the slices of each acquisition.
        levels: (N,), index of the position of each slice along the normal.
        positions: (N, 3), of each slice in mm.
    """
    blocks = sorted(sorted(levels[places]) for places in map(list, groups))
    for block in blocks:
        if block[-1] - block[0] != len(block) - 1:
            return False
    for one, other in pairwise(blocks):
        if not (one[0] < other[0] <= one[-1] + 1 and one[-1] < other[-1]):
            return False
    away = line_through(positions[np.unique(levels, return_index=True)[1]])[2]
    return bool(np.linalg.norm(away, axis=1).max() <= STRAIGHT_MM)


def left_out(chosen: Sequence[int], positions: np.ndarray, where: Where) -> list[Finding]:
    """A warning of how much of the field of view is read, where the chosen slices cover less than all of them.

    Args:
        chosen: indices of slices.
        positions: (N, 3), of all slices in mm, in their order.
        where: for the message.
    """
    own, whole = (_covered(part) for part in (positions[list(chosen)], positions))
    if own > whole - STRAIGHT_MM:
        return []
    fault, covered = "the phase covers a part of the field of view", f"{own:.4g} of {whole:.4g} mm"
    return [where(fault, covered, "the slices of other phases are left out", "warning")]


def _covered(positions: np.ndarray) -> float:
    """The length in mm from the first to the last slice and their usual distance."""
    places = np.unique(np.round(np.linalg.norm(positions - positions[0], axis=1), 2))
    return float(np.ptp(places) + np.median(np.diff(places))) if len(places) > 1 else 0.0

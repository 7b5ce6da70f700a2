"""Centre lines of vessels as trees of points, and the centre lines of the large vessels of the average head."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from ..template import sample, template
from .trunks import TRUNKS, Trunk

STEP_MM = 2.0
"""Distance between the nodes of a centre line."""

INNER_TABLE_MM = 2.4
"""Mean distance from brain to bone; the outer wall of a dural sinus touches the inner table."""


@dataclass(frozen=True)
class Lines:
    """Centre lines as a forest of N nodes; ``parent`` is -1 at the start of a line.

    Attributes:
        points: template mm, (N, 3).
        radius: mm, (N,).
        parent: index of the node that each node is joined to, (N,).
        vein: whether a node's vessel is venous, (N,).
        vessel: number of the node's vessel, with left and right numbered separately, (N,).
    """

    points: NDArray[np.float64]
    radius: NDArray[np.float64]
    parent: NDArray[np.intp]
    vein: NDArray[np.bool_]
    vessel: NDArray[np.intp]


@functools.cache
def trunk_lines() -> tuple[Lines, tuple[Trunk, ...]]:
    """Centre lines of all trunks of both sides, and the trunk of each number in ``Lines.vessel``."""
    kinds: list[Trunk] = []
    parts: list[Lines] = []
    start = 0
    for trunk in TRUNKS:
        paired = any(point[0] for point in trunk.points)
        course, radius = _course(trunk)
        for side in (1, -1) if paired else (1,):
            count = len(course)
            parent = np.arange(start - 1, start + count - 1)
            parent[0] = -1
            flags = np.full(count, trunk.vein)
            parts.append(Lines(course * (side, 1, 1), radius, parent, flags, np.full(count, len(kinds))))
            kinds.append(trunk)
            start += count
    return join(parts), tuple(kinds)


def join(parts: list[Lines]) -> Lines:
    """Concatenate forests whose parents already refer to nodes of the concatenation."""
    fields = ("points", "radius", "parent", "vein", "vessel")
    return Lines(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))


def _course(trunk: Trunk) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes (N, 3) every ``STEP_MM`` along a spline through the points, and radii (N,)."""
    points = np.array(trunk.points, dtype=float)
    knots = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    curve = make_interp_spline(knots, points, k=min(3, len(points) - 1))
    along = np.linspace(0, knots[-1], int(np.ceil(knots[-1] / STEP_MM)) + 1)
    radius = np.interp(along, knots[[0, -1]], trunk.radii)
    course = curve(along)
    return (_to_inner_table(course, INNER_TABLE_MM - radius) if trunk.dural else course), radius


def _to_inner_table(course: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move points along the gradient of the distance to the brain until they lie at this distance (N,) in mm."""
    brain = template().brain

    def distance(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return sample(brain, points.T.astype(np.float32)).astype(float)

    for _ in range(12):
        slope = np.stack([distance(course + step) - distance(course - step) for step in 2 * np.eye(3)], axis=1) / 4
        norm = np.maximum((slope**2).sum(axis=1, keepdims=True), 0.25)
        course = course + slope / norm * (depth - distance(course))[:, None]
    return course

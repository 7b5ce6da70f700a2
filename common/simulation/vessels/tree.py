"""Vessel tree of one head: random branches and radii, and the share of each voxel that the vessels fill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..grid import Volume
from ..tissues import random_deviation
from .branches import domains, grow
from .centre_lines import Lines, join, trunk_lines

ENDS = {"artery": 170, "vein": 70, "scalp": 22}
END_RADIUS_MM = {"artery": 0.33, "vein": 0.5, "scalp": 0.45}
"""[chosen] number of ends of each kind of branch, and their radius; thinner vessels belong to the parenchyma."""

RADIUS_SPREAD = 0.08
"""Relative standard deviation of a person's radii as a whole, and in addition of each trunk."""

MINOR_DRAINAGE = (0.6, 1.0)
"""Radius of the weaker side's transverse and sigmoid sinus and jugular vein, relative to those of the other side."""

MAX_BRANCH_RADIUS_MM = {"artery": 1.0, "vein": 1.6, "scalp": 1.0}
SAMPLE_MM = (0.25, 0.5)
"""Range of the distance between the points that fill a vessel, which is a fifth of a voxel."""

GOLDEN_RATIO = (1 + np.sqrt(5)) / 2
GOLDEN_ANGLE = 2 * np.pi / GOLDEN_RATIO**2


def vessel_lines(rng: np.random.Generator) -> Lines:
    """Centre lines of the vessels of one head in template mm, with radii in mm."""
    trunks, kinds = trunk_lines()
    person = 1 + RADIUS_SPREAD * random_deviation(rng)
    factor = person * (1 + RADIUS_SPREAD * np.clip(rng.standard_normal(len(kinds)), -2, 2))
    weaker, minor = rng.choice((-1, 1)), rng.uniform(*MINOR_DRAINAGE)
    drainage = [i for i, kind in enumerate(kinds) if kind.name in ("transverse sinus", "sigmoid sinus", "jugular")]
    sides = np.sign([trunks.points[trunks.vessel == i, 0].sum() for i in range(len(kinds))])
    for i in drainage:
        factor[i] = person * (minor if sides[i] == weaker else 1.0)
    parts = [replace(trunks, radius=trunks.radius * factor[trunks.vessel])]
    for name, domain in domains().items():
        branch = grow(domain, rng, ENDS[name], person * END_RADIUS_MM[name], vein=name == "vein")
        start = sum(len(part.radius) for part in parts)
        parent = np.where(branch.parent >= 0, branch.parent + start, -2 - branch.parent)
        radius = np.minimum(branch.radius, MAX_BRANCH_RADIUS_MM[name])
        parts.append(replace(branch, parent=parent, radius=radius))
    return join(parts)


def fill(lines: Lines, shape: tuple[int, ...], affine: NDArray[np.float64]) -> tuple[Volume, Volume]:
    """Share of each voxel that vessels fill, and the venous part of that share, both (X, Y, Z) float32 in [0, 1].

    Each piece of a vessel is replaced by points that share its volume equally, and each voxel sums the points inside
    it, so that a vessel much thinner than a voxel contributes its volume.

    Args:
        lines: with points in the world mm of ``affine``.
        shape: of the maps.
        affine: voxel indices to world mm, (4, 4).
    """
    spacing = float(affine[0, 0])
    step = float(np.clip(spacing / 5, *SAMPLE_MM))
    points, volume, vein = _filling(lines, step)
    index = np.rint((points - affine[:3, 3]) / spacing).astype(np.intp)
    inside = ((index >= 0) & (index < shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(index[inside].T), shape)
    size = int(np.prod(shape))
    share = volume[inside] / spacing**3
    total = np.bincount(flat, share, size)
    venous = np.bincount(flat, share * vein[inside], size) / np.maximum(total, 1e-6)
    fraction = np.minimum(total, 1).reshape(shape).astype(np.float32)
    return fraction, np.minimum(venous, 1).reshape(shape).astype(np.float32)


def _filling(lines: Lines, step: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Points (P, 3) about ``step`` mm apart, the volume in mm^3 that each stands for, and whether it is venous."""
    child = np.flatnonzero(lines.parent >= 0)
    start, end = lines.points[lines.parent[child]], lines.points[child]
    # A branch starts with its own radius, not that of its trunk.
    same = lines.vessel[child] == lines.vessel[lines.parent[child]]
    start_radius = np.where(same, lines.radius[lines.parent[child]], lines.radius[child])
    length = np.linalg.norm(end - start, axis=1)
    pieces = np.maximum(np.ceil(length / step), 1).astype(int)
    edge = np.repeat(np.arange(len(child)), pieces)
    piece = _count_up(pieces)
    radius = start_radius[edge] + (piece + 0.5) / pieces[edge] * (lines.radius[child] - start_radius)[edge]

    # Sunflower points fill each disc evenly. Each disc is rotated against the last and its points are spread over the
    # disc's thickness, so that discs do not align with voxels.
    dots = np.maximum(np.ceil(np.pi * radius**2 / step**2), 3).astype(int)
    disc = np.repeat(np.arange(len(radius)), dots)
    dot, of_edge = _count_up(dots), edge[disc]
    along = (piece[disc] + (dot / GOLDEN_RATIO + 0.5) % 1) / pieces[of_edge]
    reach = radius[disc] * np.sqrt((dot + 0.5) / dots[disc])
    angle = GOLDEN_ANGLE * dot + disc
    across, up = (frame[of_edge] for frame in _frames(end - start))
    offset = reach[:, None] * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * up)
    points = start[of_edge] + along[:, None] * (end - start)[of_edge] + offset
    volume = np.pi * radius**2 * (length / pieces)[edge] / dots
    return points, volume[disc], lines.vein[child][of_edge]


def _count_up(counts: NDArray[np.int_]) -> NDArray[np.int_]:
    """Concatenation of ``range(count)`` for each count."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _frames(direction: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two unit vectors orthogonal to each direction (N, 3)."""
    helper = np.eye(3)[np.abs(direction).argmin(axis=1)]
    across = np.cross(direction, helper)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    up = np.cross(direction, across)
    return across, up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)

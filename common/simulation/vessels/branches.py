"""Branches of the large vessels over brain and scalp: shortest paths from random sites to the nearest trunk.

Shortest paths that share a source form a tree, and the choice of the nearest trunk yields the territories of the three
cerebral arteries. Arteries run in the fluid in and over the sulci, veins on the surface, scalp arteries in the fat.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from ..grid import Volume
from ..template import (
    LATERAL_VENTRICLES,
    TEMPORALIS_MM,
    brain_maps,
    ellipsoids,
    sample,
    sample_brain,
    template,
)
from .centre_lines import Lines, trunk_lines

GRID_MM = 2.0
LOW, HIGH = (-92.0, -126.0, -66.0), (92.0, 90.0, 100.0)
"""Bounding box of the branches in template mm."""

REACH_MM = 6.0
"""Largest distance from a trunk at which branches start."""

SCALP_MM = 12.2
"""Mean distance from the brain to the middle of the subcutaneous fat, where there is no temporal muscle."""

SCALP_SITES_ABOVE_MM = -15.0
VEIN_SITES_ABOVE_MM = -20.0
SMOOTHINGS = 4


@dataclass(frozen=True)
class Domain:
    """Region of one kind of branch: nodes with the shortest path from each to a trunk.

    Attributes:
        points: template mm, (N, 3).
        parent: next node towards the trunk, -1 where the trunk is reached, (N,).
        trunk: node of ``trunk_lines`` at the end of a path, -1 except where ``parent`` is, (N,).
        sites: nodes with a path to a trunk, (M,).
    """

    points: NDArray[np.float64]
    parent: NDArray[np.intp]
    trunk: NDArray[np.intp]
    sites: NDArray[np.intp]


def grow(domain: Domain, rng: np.random.Generator, ends: int, end_radius: float, vein: bool) -> Lines:
    """Random tree with this many ends; a parent below 0 is node ``-2 - parent`` of the trunks.

    Radii follow Murray's law: the cube of the parent's radius is the sum of the cubes of the children's.
    """
    downstream = np.zeros(len(domain.points))
    current = rng.choice(domain.sites, ends, replace=False)
    while current.size:
        np.add.at(downstream, current, 1)
        current = domain.parent[current]
        current = current[current >= 0]
    used = np.flatnonzero(downstream)
    number = np.full(len(domain.points), -1)
    number[used] = np.arange(len(used))
    parent = np.where(domain.parent[used] >= 0, number[domain.parent[used]], -2 - domain.trunk[used])
    radius = end_radius * np.cbrt(downstream[used])
    points = _smooth(domain.points[used], parent)
    return Lines(points, radius, parent, np.full(len(used), vein), np.full(len(used), -1))


def _smooth(points: NDArray[np.float64], parent: NDArray[np.intp]) -> NDArray[np.float64]:
    """Smooth the grid steps of a tree: each node moves half way to the mean of its neighbours."""
    child = np.flatnonzero(parent >= 0)
    for _ in range(SMOOTHINGS):
        total, count = np.zeros_like(points), np.zeros(len(points))
        for here, there in ((child, parent[child]), (parent[child], child)):
            np.add.at(total, here, points[there])
            np.add.at(count, here, 1)
        inner = count > 1
        points = points.copy()
        points[inner] += 0.5 * (total[inner] / count[inner, None] - points[inner])
    return points


@functools.cache
def domains() -> dict[str, Domain]:
    """The domains ``artery``, ``vein`` and ``scalp`` of the average head; built once per process in about a second."""
    axes = [np.arange(low, high, GRID_MM, dtype=np.float32) for low, high in zip(LOW, HIGH, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"))
    parts = template()
    depth = sample(parts.brain, points)
    grey, white, affine = brain_maps(0.0)
    tissue = sample_brain(grey, affine, points) + sample_brain(white, affine, points)
    ventricles = ellipsoids(LATERAL_VENTRICLES, points) < 0
    scalp = depth - np.float32(TEMPORALIS_MM) * sample(parts.temporalis, points) - np.float32(SCALP_MM)
    above = points[2]
    return {
        "artery": _domain(
            points, (depth < 0.5) & (tissue < 0.7) & ~ventricles, 1 + 8 * tissue, depth > -8, _branching(vein=False)
        ),
        "vein": _domain(
            points, (depth > -3) & (depth < 1), 1 + 4 * tissue, above > VEIN_SITES_ABOVE_MM, _branching(vein=True)
        ),
        "scalp": _domain(
            points, np.abs(scalp) < 1.5, np.ones_like(depth), above > SCALP_SITES_ABOVE_MM, _ends("external carotid")
        ),
    }


def _branching(vein: bool) -> NDArray[np.intp]:
    lines, kinds = trunk_lines()
    chosen = [number for number, kind in enumerate(kinds) if kind.branches and kind.vein == vein]
    return np.flatnonzero(np.isin(lines.vessel, chosen))


def _ends(name: str) -> NDArray[np.intp]:
    lines, kinds = trunk_lines()
    return np.array([np.flatnonzero(lines.vessel == i)[-1] for i, kind in enumerate(kinds) if kind.name == name])


def _domain(
    points: NDArray[np.float32],
    inside: NDArray[np.bool_],
    cost: Volume,
    sites: NDArray[np.bool_],
    trunks: NDArray[np.intp],
) -> Domain:
    """Shortest paths through the nodes ``inside`` at a cost per mm, from ``sites`` to the nearest trunk node."""
    nodes = points[:, inside].T.astype(float)
    distance, trunk = cKDTree(trunk_lines()[0].points[trunks]).query(nodes)
    # Each trunk node has one source, the nearest node; several would start bundles of parallel branches.
    order = np.lexsort((distance, trunk))
    first = order[np.unique(trunk[order], return_index=True)[1]]
    sources = first[distance[first] < REACH_MM]
    _, parent, reached = sparse.csgraph.dijkstra(
        _graph(inside, cost), directed=False, indices=sources, min_only=True, return_predecessors=True
    )
    parent = np.where(parent < 0, -1, parent).astype(np.intp)
    roots = np.full(len(nodes), -1, np.intp)
    roots[sources] = trunks[trunk[sources]]
    return Domain(nodes, parent, roots, np.flatnonzero((reached >= 0) & sites[inside]))


def _graph(inside: NDArray[np.bool_], cost: Volume) -> sparse.csr_matrix:
    """Graph of nodes with their 26 neighbours; an edge weighs the cost of the path between them."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(np.count_nonzero(inside))
    costs = cost[inside]
    rows, columns, weights = [], [], []
    for offset in np.array([step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]):
        here, there = (tuple(slice(max(-s, 0), -s if s > 0 else None) for s in sign * offset) for sign in (1, -1))
        both = inside[here] & inside[there]
        rows.append(number[here][both])
        columns.append(number[there][both])
        weights.append(GRID_MM * np.linalg.norm(offset) * (costs[rows[-1]] + costs[columns[-1]]) / 2)
    size = len(costs)
    entries = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix(entries, shape=(size, size))

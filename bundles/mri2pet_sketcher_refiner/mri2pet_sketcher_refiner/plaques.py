"""Plaques of multiple sclerosis: sites, extent, demyelination and water.

Most lie near the lateral ventricles and extend away from them (Dawson's fingers), the others anywhere in white matter.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.simulation.deformation import to_head
from common.simulation.grid import Volume, smooth_noise, to_voxels
from common.simulation.template import brain_maps, grid_points, sample, sample_brain, template

PLAQUES = (10, 40)
"""[chosen] number of plaques of a patient; with the radii below, 2 to 30 ml in total."""

PERIVENTRICULAR_SHARE = 0.7
"""[chosen] share of plaques near the lateral ventricles."""

RADIUS_MM = (1.8, 9.0)
RADIUS_MEDIAN_MM, RADIUS_LOG_SPREAD = 3.2, 0.45
"""[chosen] radii follow a clipped log-normal distribution: many small plaques, few large ones."""

ELONGATION = (1.2, 2.2)
RAGGEDNESS = 0.25
"""[chosen] standard deviation of the rim's distance from an ellipsoid, in radii."""

DEMYELINATION = (0.2, 1.0)
"""Range of myelin loss in the centre of a plaque: from remyelinated shadow plaques to bare axons."""

RIM_SHARE = 0.6
"""[chosen] myelin loss at the rim relative to the centre: PIB binding falls from rim to centre (Bodini et al. 2016)."""

WATER = (0.1, 1.0)
"""Range of the water that replaces tissue by oedema and axonal loss, relative to the observed maximum; independent of
the demyelination, since inflammation, demyelination and axonal loss differ between plaques."""

DEEP_SITES_ABOVE_MM = -35.0


class Plaques(NamedTuple):
    """Maps (X, Y, Z) in [0, 1]; ``demyelination`` and ``water`` are defined where ``extent`` is above 0."""

    extent: Volume
    demyelination: Volume
    water: Volume


def plaques(
    rng: np.random.Generator,
    sources: NDArray[np.float32],
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
) -> Plaques:
    """Plaques of one patient; the same at every spacing.

    Args:
        rng: random generator.
        sources: template coordinates of each node of the head in mm, ``(3, *NODE_SHAPE)``.
        shape: of the maps.
        affine: voxel indices to world mm, without rotation.
    """
    spacing = float(affine[0, 0])
    ragged = to_voxels(smooth_noise(rng, 6.0), shape, spacing)
    count = int(rng.integers(PLAQUES[0], PLAQUES[1] + 1))
    near = int(rng.binomial(count, PERIVENTRICULAR_SHARE))
    sites = np.concatenate([rng.choice(template().lesion_sites, near), rng.choice(_deep_sites(), count - near)])
    directions = _away_from_ventricles(rng, sites)
    maps = Plaques(*(np.zeros(shape, np.float32) for _ in Plaques._fields))
    for centre, direction in zip(to_head(sources, sites.astype(float)), directions, strict=True):
        radius = np.clip(RADIUS_MEDIAN_MM * np.exp(RADIUS_LOG_SPREAD * rng.standard_normal()), *RADIUS_MM)
        long = radius * rng.uniform(*ELONGATION)
        reach = long * (1 + 2 * RAGGEDNESS) + spacing
        index = (centre - affine[:3, 3]) / spacing
        corner = np.maximum(np.floor(index - reach / spacing).astype(int), 0)
        box = tuple(slice(low, low + int(2 * reach / spacing) + 2) for low in corner)
        depth = _depth(maps.extent[box].shape, spacing * (corner - index), spacing, direction, (radius, long))
        depth += np.float32(RAGGEDNESS * radius) * ragged[box]
        lost, water = rng.uniform(*DEMYELINATION), rng.uniform(*WATER)
        _lay(Plaques(*(volume[box] for volume in maps)), depth, spacing, float(radius), lost, water)
    return maps


@functools.cache
def _deep_sites() -> NDArray[np.float32]:
    """Sites (N, 3) in white matter above the brain stem, in template mm."""
    points = grid_points()
    _, white, affine = brain_maps(0.0)
    return points[:, (sample_brain(white, affine, points) > 0.85) & (points[2] > DEEP_SITES_ABOVE_MM)].T


def _away_from_ventricles(rng: np.random.Generator, sites: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unit vectors along the plaques (N, 3): away from the ventricles if these are near, else random."""
    pull = np.stack([sample(axis, sites.T) for axis in template().to_ventricles], axis=1)
    direction = 10.0 * pull + rng.standard_normal(sites.shape)
    return direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _depth(
    shape: tuple[int, ...],
    start: NDArray[np.float64],
    spacing: float,
    direction: NDArray[np.float64],
    radii: tuple[float, float],
) -> Volume:
    """Depth in mm, to first order, inside an ellipsoid at the origin that is elongated along one direction."""
    radius, long = radii
    points = spacing * np.indices(shape, np.float32) + start.reshape(3, 1, 1, 1).astype(np.float32)
    along = np.tensordot(direction.astype(np.float32), points, axes=1)
    across = np.sum(points**2, axis=0) - along**2
    return np.float32(radius) * (1 - np.sqrt(np.maximum(across, 0) / radius**2 + along**2 / long**2)).astype(np.float32)


def _lay(maps: Plaques, depth: Volume, spacing: float, radius: float, lost: float, water: float) -> None:
    """Add a plaque to the maps of its surroundings; where two overlap, the larger extent decides."""
    extent = np.clip(0.5 + depth / np.float32(spacing), 0, 1)
    here = extent > maps.extent
    middle = np.clip(depth / np.float32(radius), 0, 1)
    maps.extent[here] = extent[here]
    maps.demyelination[here] = (np.float32(lost) * (RIM_SHARE + (1 - RIM_SHARE) * middle))[here]
    maps.water[here] = np.float32(water)

"""Anatomy of a random head: tissue fractions of every voxel, from which ``ct.py`` and ``mr.py`` render images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .deformation import template_points, to_head
from .grid import Motion, Triple, Volume, grid, smooth_noise, to_voxels
from .head_layers import composite, layers_of, surfaces_of
from .template import GRID_MM, GRID_ORIGIN, GRID_SHAPE, Template, sample, template
from .vessels.tree import fill, vessel_lines

MAX_LESIONS = 18
LESION_RADIUS_MM = (2.0, 6.0)

Table = Mapping[str, tuple[float, float]]
THICKNESS_MM: Table = {
    "csf": (1.6, 0.4),
    "dura": (0.8, 0.1),
    "inner": (1.9, 0.25),
    "diploe": (3.0, 0.8),
    "outer": (2.1, 0.25),
    "galea": (1.0, 0.2),
    "fat": (3.2, 0.8),
    "skin": (2.0, 0.2),
}
"""Mean and standard deviation of each layer's thickness. Skull in total: 7.0 mm, the mean of the parietal bone on CT of
100 adults (frontal and occipital 8.0, temporal 4.7). The others are [chosen] to look like scans of heads."""


@dataclass(frozen=True)
class Anatomy:
    """Tissue fractions of a head.

    Attributes:
        fractions: for every tissue a map (X, Y, Z), float32 in [0, 1]; they sum to 1 in every voxel.
        affine: voxel indices to RAS mm, (4, 4).
        spacing: isotropic, in mm.
        veins: venous share of the vessels in a voxel, (X, Y, Z) in [0, 1], or one number for all.
        motion: rigid motion of the head in its field of view.
    """

    fractions: Mapping[str, Volume]
    affine: NDArray[np.float64]
    spacing: float
    veins: Volume | float = 0.0
    motion: Motion = Motion()

    @property
    def head(self) -> NDArray[np.bool_]:
        """Mask of the head with its air-filled cavities: everything inside the skin, (X, Y, Z)."""
        return self.fractions["background"] < 0.5


def head_anatomy(
    seed: int,
    spacing: float,
    offset_mm: Triple = (0.0, 0.0, 0.0),
    turn_degrees: Triple = (0.0, 0.0, 0.0),
) -> Anatomy:
    """Anatomy of the head of a seed: deterministic, and the same head at every spacing.

    Args:
        seed: of all random parts.
        spacing: isotropic, in mm; 2.5 gives 80 x 96 x 80 voxels.
        offset_mm: translation of the head right, anterior, superior in its field of view, at most 20 mm each way.
        turn_degrees: rotation vector about the centre of the field of view, applied before the translation.

    Raises:
        ConfigError: the spacing is outside 0.5 to 8 mm.
    """
    rng = np.random.default_rng(seed)
    (vessel_rng,) = rng.spawn(1)
    shape, affine = grid(spacing)
    parts = template()
    motion = Motion(offset_mm, turn_degrees)

    def voxels(nodes: Volume) -> Volume:
        return to_voxels(nodes, shape, spacing, *motion)

    sources = template_points(rng, parts)
    points = np.stack([voxels(axis) for axis in sources])
    lesions = sample(_lesion_map(rng, parts), points)
    thickness = {
        name: voxels(np.float32(mean) + np.float32(spread) * smooth_noise(rng, 25.0))
        for name, (mean, spread) in THICKNESS_MM.items()
    }
    surfaces = surfaces_of(parts, points, thickness)
    lines = vessel_lines(vessel_rng)
    vessels, veins = fill(replace(lines, points=motion.apply(to_head(sources, lines.points))), shape, affine)
    fractions = composite(layers_of(parts, points, surfaces, lesions, vessels, spacing), shape)
    return Anatomy(fractions, affine, spacing, veins, motion)


class Fractions(Mapping[str, Volume]):
    """Tissue fractions that are not kept as a map for each tissue."""

    def mean(self, values: Mapping[str, float]) -> Volume:
        """Image (X, Y, Z) float32 of one value per tissue: the mean of the values in each voxel."""
        raise NotImplementedError


def partial_volume(anatomy: Anatomy, values: Mapping[str, float]) -> Volume:
    """Image (X, Y, Z) float32 of one value per tissue: the values weighted by the tissue fractions of each voxel."""
    if isinstance(anatomy.fractions, Fractions):
        return anatomy.fractions.mean(values)
    image = np.zeros_like(anatomy.fractions["background"])
    for name, fraction in anatomy.fractions.items():
        image += np.float32(values[name]) * fraction
    return image


def _lesion_map(rng: np.random.Generator, parts: Template) -> Volume:
    """White-matter lesions on the template's coarse grid, (77, 90, 84) in [0, 1]; one head in four has none."""
    lesions = np.zeros(GRID_SHAPE, np.float32)
    count = 0 if rng.random() < 0.25 else int(rng.integers(1, MAX_LESIONS + 1))
    for site in rng.choice(parts.lesion_sites, count):
        radii = rng.uniform(*LESION_RADIUS_MM, 3) / GRID_MM
        index = (site - GRID_ORIGIN) / GRID_MM
        corner = np.maximum(np.floor(index - 5).astype(int), 0)
        box = tuple(slice(low, low + 11) for low in corner)
        local = np.indices(lesions[box].shape) + (corner - index).reshape(3, 1, 1, 1)
        radius = np.sqrt(np.sum((local / radii.reshape(3, 1, 1, 1)) ** 2, axis=0))
        lesions[box] = np.maximum(lesions[box], np.clip((1.0 - radius) * radii.mean() + 0.5, 0, 1))
    return lesions

"""One random head: how much of each tissue every voxel holds. Scanners are rendered from it (``render.py``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.phantoms.grid import Motion, Triple, Volume, grid, smooth_noise, to_voxels
from common.phantoms.template import (
    GRID_MM,
    GRID_ORIGIN,
    GRID_SHAPE,
    TEMPORALIS_MM,
    WALL_MM,
    Template,
    brain_maps,
    sample,
    sample_brain,
    template,
)
from common.phantoms.tissues import TISSUES
from common.phantoms.vessels import fill, vessel_lines
from common.phantoms.warp import template_points, to_head

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
"""Mean and standard deviation over the head. Skull in all: 7.0 mm, the mean of the parietal bone on CT of 100 adults
(frontal and occipital 8.0, temporal 4.7). The others are [chosen] to look like scans of heads."""

VESSEL_COVER_MM = 1.0
"""No vessel comes nearer to the air around the head."""

NECK_BLEND_MM = 12.0
UNBLURRED_MM = 1.2
"""Below this spacing the 1 mm maps need no blur before sampling."""


@dataclass(frozen=True)
class Anatomy:
    """Tissue fractions of a head.

    Attributes:
        fractions: for every name in ``TISSUES`` a map (X, Y, Z), float32 in [0, 1]; they sum to 1 in every voxel.
        affine: voxel indices to RAS mm, (4, 4).
        spacing: isotropic, in mm.
        veins: how much of the vessels in a voxel is venous, (X, Y, Z) in [0, 1], or one number for all.
        motion: how the head lies in its field of view.
    """

    fractions: dict[str, Volume]
    affine: NDArray[np.float64]
    spacing: float
    veins: Volume | float = 0.0
    motion: Motion = Motion()

    @property
    def head(self) -> NDArray[np.bool_]:
        """The head with its air-filled cavities: everything inside the skin, (X, Y, Z)."""
        return self.fractions["background"] < 0.5


def head_anatomy(
    seed: int,
    spacing: float,
    offset_mm: Triple = (0.0, 0.0, 0.0),
    turn_degrees: Triple = (0.0, 0.0, 0.0),
) -> Anatomy:
    """Build the head of a seed: the same bits for the same arguments, the same head at every spacing.

    Args:
        seed: of everything random in the head.
        spacing: isotropic, in mm; 2.5 gives 80 x 96 x 80 voxels.
        offset_mm: moves the head right, anterior, superior in its field of view, at most 20 mm each way.
        turn_degrees: turns the head first, about the middle of the field of view; a rotation vector.

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
    surfaces = _surfaces(parts, points, thickness)
    lines = vessel_lines(vessel_rng)
    vessels, veins = fill(replace(lines, points=motion.apply(to_head(sources, lines.points))), shape, affine)
    fractions = _composite(_layers(parts, points, surfaces, lesions, vessels, spacing), shape)
    return Anatomy(fractions, affine, spacing, veins, motion)


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


def _surfaces(parts: Template, points: NDArray[np.float32], thickness: dict[str, Volume]) -> dict[str, Volume]:
    """Signed distances in mm to the outer surface of each layer, negative inside."""
    surfaces = {}
    depth = sample(parts.brain, points)
    for name in ("csf", "dura", "inner", "diploe", "outer"):
        depth = depth - thickness[name]
        surfaces[name] = depth
    scalp = thickness["galea"] + thickness["fat"] + thickness["skin"]
    scalp += np.float32(TEMPORALIS_MM) * sample(parts.temporalis, points)
    surfaces["skin"] = _smooth_union(depth - scalp, sample(parts.face, points))
    surfaces["fat"] = surfaces["skin"] + thickness["skin"]
    surfaces["muscle"] = surfaces["fat"] + thickness["fat"]
    return surfaces


def _layers(
    parts: Template,
    points: NDArray[np.float32],
    surfaces: dict[str, Volume],
    lesions: Volume,
    vessels: Volume,
    spacing: float,
) -> Iterator[tuple[str, Volume]]:
    """The vessels, then the head from the brain outwards: each fills a share of a voxel, and lies over all after it."""

    def inside(distance: Volume) -> Volume:
        """Share of a voxel on the inner side of a surface at this signed distance in mm."""
        return np.clip(np.float32(0.5) - distance / np.float32(spacing), 0, 1)

    def buried(part: Volume, depth_mm: float) -> Volume:
        """Signed distance to a part of the face, cut off at this depth under the skin."""
        return np.maximum(sample(part, points), surfaces["skin"] + np.float32(depth_mm))

    cranial = inside(surfaces["csf"])
    grey_map, white_map, affine = brain_maps(round(0.35 * spacing, 3) if spacing > UNBLURRED_MM else 0.0)
    grey, white = (sample_brain(part, affine, points) * cranial for part in (grey_map, white_map))
    yield "vessel", vessels * inside(surfaces["skin"] + np.float32(VESSEL_COVER_MM))
    yield "brain", np.stack([lesions * white, (1 - lesions) * white, grey])
    yield "csf", cranial
    yield "dura", inside(surfaces["dura"])
    yield "skull", inside(surfaces["inner"])
    cavities = buried(parts.cavities, 7.0)
    yield "sinus", inside(cavities)
    # Around a cavity the diploe gives way to its compact wall.
    yield "marrow", inside(surfaces["diploe"]) * inside(np.float32(WALL_MM) - cavities)
    yield "skull", inside(surfaces["outer"])
    yield "csf", inside(buried(parts.eyes, 1.0))
    yield "fat", inside(buried(parts.orbits, 2.0))
    yield "skull", inside(buried(parts.bones, 4.0))
    yield "muscle", inside(surfaces["muscle"])
    yield "fat", inside(surfaces["fat"])
    yield "skin", inside(surfaces["skin"])


def _smooth_union(first: Volume, second: Volume) -> Volume:
    """Signed distance to a union whose inner corners are rounded over ``NECK_BLEND_MM``."""
    share = np.clip(np.float32(0.5) + (second - first) / np.float32(2 * NECK_BLEND_MM), 0, 1)
    return second + share * (first - second) - np.float32(NECK_BLEND_MM) * share * (1 - share)


def _composite(layers: Iterable[tuple[str, Volume]], shape: tuple[int, ...]) -> dict[str, Volume]:
    """Lay the layers over each other: each takes its share of what those before it left; the rest is background."""
    fractions = {name: np.zeros(shape, np.float32) for name in TISSUES}
    left = np.ones(shape, np.float32)
    for name, share in layers:
        if name == "brain":
            fractions["lesion"], fractions["white"], fractions["grey"] = left * share
            left *= np.clip(1 - share.sum(axis=0), 0, 1)
            continue
        fractions[name] += left * share
        left *= 1 - share
    fractions["background"] = left
    return fractions

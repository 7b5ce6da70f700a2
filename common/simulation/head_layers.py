"""Layers of a head from the brain outwards: surfaces as signed distances, and the share of each voxel they fill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .grid import Volume
from .template import TEMPORALIS_MM, WALL_MM, Template, brain_maps, sample, sample_brain
from .tissues import TISSUES

VESSEL_COVER_MM = 1.0
"""Minimum distance of vessels to the air around the head."""

NECK_BLEND_MM = 12.0
UNBLURRED_MM = 1.2
"""Largest spacing at which the 1 mm maps are sampled without blur."""


def surfaces_of(parts: Template, points: NDArray[np.float32], thickness: dict[str, Volume]) -> dict[str, Volume]:
    """Signed distances in mm to the outer surface of each layer, negative inside.

    Args:
        parts: maps of the template.
        points: template coordinates of each voxel in mm, (3, X, Y, Z).
        thickness: of each layer in mm, (X, Y, Z).
    """
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


def layers_of(
    parts: Template,
    points: NDArray[np.float32],
    surfaces: dict[str, Volume],
    lesions: Volume,
    vessels: Volume,
    spacing: float,
) -> Iterator[tuple[str, Volume]]:
    """Name and share of each voxel of the vessels, then of the layers outwards; earlier layers cover later ones."""

    def inside(distance: Volume) -> Volume:
        """Share of a voxel on the inner side of a surface at this signed distance in mm."""
        share: Volume = np.clip(np.float32(0.5) - distance / np.float32(spacing), 0, 1)
        return share

    def buried(part: Volume, depth_mm: float) -> Volume:
        """Signed distance to a part of the face, limited to this depth under the skin."""
        distance: Volume = np.maximum(sample(part, points), surfaces["skin"] + np.float32(depth_mm))
        return distance

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
    # Around a cavity, compact bone replaces the diploe.
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
    share: Volume = np.clip(np.float32(0.5) + (second - first) / np.float32(2 * NECK_BLEND_MM), 0, 1)
    distance: Volume = second + share * (first - second) - np.float32(NECK_BLEND_MM) * share * (1 - share)
    return distance


def composite(layers: Iterable[tuple[str, Volume]], shape: tuple[int, ...]) -> dict[str, Volume]:
    """Tissue fractions of stacked layers: each takes its share of what is left; the rest is background."""
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

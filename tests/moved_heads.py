"""Heads of formulas as MR and CT, in any position: what a registration must find is known, and nothing interpolated."""

from __future__ import annotations

from functools import cache
from itertools import product

import movements
import numpy as np
from movements import Move, Points, moving
from scipy import ndimage

SHAPE = (33, 36, 31)
SPACING = 6.0
AFFINE = np.array([[-SPACING, 0, 0, 96], [0, SPACING, 0, -105], [0, 0, SPACING, -90], [0, 0, 0, 1.0]])
RADII = np.array([66.0, 80.0, 64.0])
__all__ = ["AFFINE", "SHAPE", "errors_mm", "moving", "rendered", "volume"]


@cache
def texture(seed: int) -> np.ndarray:
    """Smooth random values with a standard deviation of 1, on nodes of 8 mm."""
    values = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((26, 28, 24)), 2)
    return values / values.std()


def rendered(name: str, points: Points, person: int = 0) -> np.ndarray:
    """MR or CT at points: skin, skull, and a brain with random cavities and bone; one image is not the other scaled."""
    stretch = 1 + 0.1 * np.random.default_rng(person).uniform(-1, 1, 3) * bool(person)
    radius = np.linalg.norm(points / (RADII * stretch), axis=1)
    inner = ndimage.map_coordinates(texture(person), ((points + 100) / 8).T, order=1, mode="nearest")
    air, skin, bone, brain, cavity = {"mr": (0, 700, 80, 400, 10), "ct": (-1000, -50, 900, 40, -800)}[name]
    layers = [(radius < 0.82) & (inner < -1), (radius < 0.82) & (inner > 1), radius < 0.82, radius < 0.92, radius < 1]
    return np.select(layers, [cavity, bone, brain, bone, skin], air).astype(np.float32)


def volume(name: str, move: Move | None = None, person: int = 0) -> np.ndarray:
    """The image (X, Y, Z) on the grid ``AFFINE``, whose voxels show the head at the moved points, eight in each."""
    centres = np.stack(np.indices(SHAPE), -1).reshape(-1, 3)
    shown = np.zeros(len(centres), np.float32)
    for part in product((-0.25, 0.25), repeat=3):
        points = (centres + part) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
        shown += rendered(name, points if move is None else move(points), person) / 8
    return shown.reshape(SHAPE)


def inner_points() -> Points:
    """Points of the head."""
    return np.random.default_rng(3).uniform(-0.55, 0.55, (300, 3)) * RADII


def errors_mm(transform: object, move: Move) -> np.ndarray:
    """How far a transform of ITK, of points of the still image, leaves those of the head from where they belong."""
    return movements.errors_mm(transform, move, inner_points())

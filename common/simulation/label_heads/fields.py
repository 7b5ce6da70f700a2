"""Smooth random fields over the voxels of a label map, and random bodies with irregular surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..grid import Volume

NODE_VOXELS = 4
"""Voxels between the nodes on which a field is drawn."""

Places = NDArray[np.integer[Any]]
"""Positions of voxels in a flat array."""


def noise(rng: np.random.Generator, shape: tuple[int, ...], grain: float) -> Volume:
    """Smooth field of mean 0 and standard deviation 1 on every fourth voxel: white noise blurred by ``grain``."""
    nodes = tuple(size // NODE_VOXELS + 2 for size in shape)
    field: Volume = ndimage.gaussian_filter(rng.standard_normal(nodes, dtype=np.float32), grain / NODE_VOXELS)
    standard: Volume = (field - field.mean()) / field.std()
    return standard


def noise_at(rng: np.random.Generator, shape: tuple[int, ...], places: Places, grain: float) -> Volume:
    """A smooth field, see :func:`noise`, at some voxels."""
    points = np.array(np.unravel_index(places, shape), np.float32) / np.float32(NODE_VOXELS)
    values: Volume = ndimage.map_coordinates(noise(rng, shape, grain), points, order=1, output=np.float32)
    return values


def highest(field: Volume, share: float) -> NDArray[np.bool_]:
    """Where a field is in the upper ``share`` of its values."""
    if share <= 0 or not field.size:
        return np.zeros(field.shape, np.bool_)
    mask: NDArray[np.bool_] = field > np.quantile(field, 1 - share)
    return mask


class Body:
    """A ball with an irregular surface around a voxel.

    Args:
        rng: draws the surface.
        shape: of the map.
        centre: voxel position (3,).
        radius: in voxels.
        roughness: standard deviation of the radius, relative to it.
    """

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, ...], centre: Places, radius: float, roughness: float = 0.25
    ) -> None:
        reach = int(np.ceil(radius * (1 + 2.5 * roughness))) + 1
        self.box = tuple(
            slice(max(0, int(c) - reach), min(size, int(c) + reach + 1)) for c, size in zip(centre, shape, strict=True)
        )
        points = np.stack(np.meshgrid(*(np.arange(part.start, part.stop) for part in self.box), indexing="ij"))
        away = points - np.reshape(centre, (3, 1, 1, 1))
        rough = ndimage.gaussian_filter(rng.standard_normal(away.shape[1:], dtype=np.float32), max(radius / 3, 1))
        rough *= np.float32(roughness / max(float(rough.std()), 1e-6))
        self.depth: Volume = np.float32(radius) * (1 + np.clip(rough, -0.6, 2.5 * roughness)) - np.sqrt(
            np.sum(away.astype(np.float32) ** 2, axis=0)
        )
        """Depth under the surface in voxels, positive inside, in the box."""

"""Random deformation of the template: coordinate maps from a head to the template and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from .grid import CENTRE_MM, NODE_MM, NODE_SHAPE, node_points, smooth_noise
from .template import Template, sample

ROTATION_DEGREES = 5.0
TRANSLATION_MM = 2.0
SCALE_RANGE = (0.88, 0.98)
"""Per axis; below 1 because the ICBM152 average is larger than most brains."""

WARPS_MM = ((30.0, 2.5), (12.0, 1.0))
"""Elastic warps as (smoothness, standard deviation along each axis): first of lobes, then of gyri."""

VENTRICLE_WIDENING_MM = 3.0
INVERSION_STEPS = 15


def template_points(rng: np.random.Generator, parts: Template) -> NDArray[np.float32]:
    """Template coordinates of each node of a random head in mm, ``(3, *NODE_SHAPE)``."""
    centre = np.array(CENTRE_MM).reshape(3, 1, 1, 1)
    rotation = Rotation.from_euler("xyz", rng.uniform(-ROTATION_DEGREES, ROTATION_DEGREES, 3), degrees=True)
    scale = rng.uniform(*SCALE_RANGE, 3)
    move = rng.uniform(-TRANSLATION_MM, TRANSLATION_MM, (3, 1, 1, 1))
    widening = rng.uniform(0, VENTRICLE_WIDENING_MM)
    local = node_points() - centre - move
    points = np.einsum("ij,jxyz->ixyz", rotation.as_matrix().T / scale[:, None], local) + centre
    for smoothness, amplitude in WARPS_MM:
        points += amplitude * np.stack([smooth_noise(rng, smoothness) for _ in range(3)])
    points = points.astype(np.float32)
    # Sampling nearer to the ventricles enlarges them and displaces the surrounding tissue outwards.
    widened: NDArray[np.float32] = points + np.float32(widening) * np.stack(
        [sample(axis, points) for axis in parts.to_ventricles]
    )
    return widened


def to_head(sources: NDArray[np.float32], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Head coordinates (world mm) of points (N, 3) of the template; inverse of :func:`template_points`.

    Fixed-point iteration that steps by the remaining error in template coordinates.

    Args:
        sources: template coordinates of each node of the head in mm, ``(3, *NODE_SHAPE)``.
        points: template mm, (N, 3).
    """
    corner = np.subtract(CENTRE_MM, NODE_MM * (np.array(NODE_SHAPE) - 1) / 2)
    head = points.astype(float)
    for _ in range(INVERSION_STEPS):
        index = ((head - corner) / NODE_MM).T
        found = np.stack([ndimage.map_coordinates(axis, index, order=1, mode="nearest") for axis in sources], axis=1)
        head += 0.9 * (points - found)
    return head

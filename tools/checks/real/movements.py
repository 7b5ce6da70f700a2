"""Known movements of heads: images of what moved, and how far a registration is off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

Points = NDArray[np.float64]
"""(N, 3) in RAS mm."""
Move = Callable[[Points], Points]


def moving(degrees: Sequence[float], shift: Sequence[float], warp: float = 0.0, phase: float = 0.0) -> Move:
    """A movement of points: a rotation about the origin, a translation in mm and waves of ``warp`` mm."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True)

    def move(points: Points) -> Points:
        waves = warp * np.sin(2 * np.pi * np.roll(points, 1, axis=1) / (120, 130, 125) + (0, 1, 2) + phase)
        moved: Points = turn.apply(points + waves) + shift
        return moved

    return move


def seen(image: NDArray[Any], scale: NDArray[Any], spacing: Sequence[float], move: Move) -> tuple[NDArray[Any], Any]:
    """An image, of voxels of ``scale`` mm around the origin, at the moved points of a grid (means over its voxels).

    Returns:
        values (X, Y, Z) and affine (4, 4), along left, posterior and superior.
    """
    steps = np.array(spacing) * (-1, -1, 1)
    shape = np.ceil(np.abs(scale) * image.shape / spacing).astype(int)
    voxels = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) - (shape - 1) / 2
    parts = list(product(*((np.arange(int(mm)) + 0.5) / int(mm) - 0.5 for mm in spacing)))
    values = np.zeros(len(voxels))
    for part in parts:
        places = move((voxels + part) * steps) / scale + (np.array(image.shape) - 1) / 2
        values += ndimage.map_coordinates(image, places.T, order=1, cval=image.min()) / len(parts)
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (shape - 1) / 2
    return values.reshape(shape), affine


def mapped(transform: Any, points: Points) -> Points:
    """Points where a transform of ITK puts them."""
    lps = np.array([-1, -1, 1])
    return np.array([transform.TransformPoint((point * lps).tolist()) for point in points]) * lps


def errors_mm(transform: Any, move: Move, points: Points, belongs: Points | None = None) -> NDArray[np.float64]:
    """How far a transform of ITK, of points of the still image, leaves them from where they belong, in mm.

    Args:
        transform: of the registration.
        move: points of the moved image become those of the still one.
        points: of the still image.
        belongs: where they belong, by default where they are.
    """
    errors: NDArray[np.float64] = np.linalg.norm(
        move(mapped(transform, points)) - (points if belongs is None else belongs), axis=1
    )
    return errors

"""Known movements of heads, and how far a registration is off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
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

"""How much of one grid's field of view another volume covers."""

from __future__ import annotations

import numpy as np

LEAST_COVERED = 0.5
"""Share of the image's voxels that a volume must cover to be resampled; one that covers less lies elsewhere."""


def covered(
    shape: tuple[int, ...], affine: np.ndarray, other_shape: tuple[int, ...], other_affine: np.ndarray
) -> np.ndarray:
    """Which voxels of a grid have their centre inside a voxel of another one, bool of ``shape`` (X, Y, Z).

    Affines (4, 4) map voxel indices to the same millimetres.
    """
    x, y, z = np.ogrid[tuple(slice(n) for n in shape)]
    inside = np.ones(shape, dtype=bool)
    for (a, b, c, offset), n in zip((np.linalg.inv(other_affine) @ affine)[:3], other_shape, strict=True):
        place = a * x + b * y + c * z + offset
        inside &= (place >= -0.5) & (place <= n - 0.5)
    return inside

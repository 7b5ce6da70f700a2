"""Field of view of a phantom, and smooth random fields over it.

Fields are drawn on nodes fixed in mm and interpolated: fast, and a seed gives the same head at every spacing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import ConfigError

Volume = NDArray[np.float32]

EXTENT_MM = (200.0, 240.0, 200.0)
"""Size of the field of view along right, anterior, superior."""

CENTRE_MM = (0.0, -16.0, 10.0)
"""Centre of the field of view in ICBM152 template coordinates: the middle of the head, with air around it."""

NODE_MM = 5.0
"""Distance between the nodes on which smooth fields are drawn."""

NODE_MARGIN_MM = 20.0
"""Extent of the nodes beyond the field of view, so that a head can be moved."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.5, 8.0
NODE_SHAPE = tuple(int((extent + 2 * NODE_MARGIN_MM) / NODE_MM) + 1 for extent in EXTENT_MM)

Triple = tuple[float, float, float]


class Motion(NamedTuple):
    """Rigid motion of a head in the field of view: rotation about ``CENTRE_MM``, then translation.

    Attributes:
        move_mm: translation right, anterior, superior.
        turn_degrees: rotation vector, whose length is the angle.
    """

    move_mm: Triple = (0.0, 0.0, 0.0)
    turn_degrees: Triple = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Rotation matrix (3, 3)."""
        from scipy.spatial.transform import Rotation  # an inference, which names phantoms, draws none

        matrix: NDArray[np.float64] = Rotation.from_rotvec(self.turn_degrees, degrees=True).as_matrix()
        return matrix

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (N, 3) after the motion of points (N, 3) of the unmoved head, in world mm."""
        moved = points + self.move_mm
        return (points - CENTRE_MM) @ self.matrix.T + CENTRE_MM + self.move_mm if any(self.turn_degrees) else moved


def grid(spacing: float) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape (X, Y, Z) and RAS affine (4, 4) of the field of view at an isotropic spacing in mm.

    Raises:
        ConfigError: the spacing is outside 0.5 to 8 mm.
    """
    if not MIN_SPACING_MM <= spacing <= MAX_SPACING_MM:
        fault = f"spacing is {spacing}, not between {MIN_SPACING_MM} and {MAX_SPACING_MM} mm"
        raise ConfigError(fault, "give 2.5 to be quick, or 1.0 for fine detail")
    x, y, z = (round(extent / spacing) for extent in EXTENT_MM)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.subtract(CENTRE_MM, np.multiply(spacing / 2, (x - 1, y - 1, z - 1)))
    return (x, y, z), affine


def random_direction(rng: np.random.Generator, length: float) -> Triple:
    """Random vector of this length, uniform over all directions."""
    direction = rng.standard_normal(3)
    x, y, z = length * direction / np.linalg.norm(direction)
    return float(x), float(y), float(z)


def node_points() -> NDArray[np.float32]:
    """World coordinates of the nodes in mm, ``(3, *NODE_SHAPE)``."""
    axes = [c + NODE_MM * (np.arange(n) - (n - 1) / 2) for c, n in zip(CENTRE_MM, NODE_SHAPE, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def smooth_noise(rng: np.random.Generator, sigma_mm: float) -> Volume:
    """Smooth random field on the nodes: mean 0, standard deviation 1, clipped to [-2, 2], Gaussian of ``sigma_mm``."""
    field: Volume = ndimage.gaussian_filter(rng.standard_normal(NODE_SHAPE, dtype=np.float32), sigma_mm / NODE_MM)
    clipped: Volume = np.clip((field - field.mean()) / field.std(), -2, 2)
    return clipped


def to_voxels(
    nodes: Volume,
    shape: tuple[int, ...],
    spacing: float,
    move_mm: Triple = (0.0, 0.0, 0.0),
    turn_degrees: Triple = (0.0, 0.0, 0.0),
) -> Volume:
    """Interpolate a field, moved with the head, from the nodes to ``shape`` voxels (X, Y, Z) with the same centre."""
    back = Motion(move_mm, turn_degrees).matrix.T if any(turn_degrees) else np.eye(3)
    step = spacing / NODE_MM * back
    offset = (np.array(NODE_SHAPE) - 1) / 2 - step @ (np.array(shape) - 1) / 2 - back @ move_mm / NODE_MM
    # A vector of scales is several times faster than the equivalent matrix.
    scales = step if any(turn_degrees) else step.diagonal()
    voxels: Volume = ndimage.affine_transform(nodes, scales, offset, shape, np.float32, order=1, mode="nearest")
    return voxels


def stretched(nodes: Volume, shape: tuple[int, ...], spacing: float) -> Volume:
    """Interpolate a field that does not move with the head: as :func:`to_voxels`, but one axis after the other.

    That takes a sixteenth of the time; the last bits differ, so that heads on disk keep to the other.
    """
    voxels = nodes
    for count, size in zip(shape, NODE_SHAPE, strict=True):
        at = (size - 1) / 2 + spacing / NODE_MM * (np.arange(count) - (count - 1) / 2)
        weights = np.clip(1 - np.abs(at[:, None] - np.arange(size)), 0, 1).astype(np.float32)
        voxels = np.tensordot(voxels, weights, (0, 1))  # the next axis is first then
    return voxels

"""Synthetic sources for the metamorphic table: no side like another, stored as a DICOM series and as float exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel.eulerangles import euler2mat
from scipy import ndimage

SHAPE = (40, 46, 30)
LONG_SHAPE = (32, 32, 256)
"""Of the source that is cut into tiles."""
SPACING = (1.9, 1.4, 2.6)
ORIGIN = (-31.3, 24.7, -58.1)
"""In mm. 45 steps of 1.4 mm are 31.5 of 2 mm: where a grid ends must not depend on rounding."""
BASE_TURN = 6.0
"""Degrees about the third axis of the patient."""
LEVELS = 1000
"""Steps that a channel is stored in, about."""


class Channel(NamedTuple):
    """A volume (X, Y, Z) float32, whose values are multiples of ``step``, a power of two, and its file's name."""

    name: str
    values: np.ndarray
    step: float


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """A rotation (4, 4) by degrees about the axes of the patient."""
    rotation = np.eye(4)
    rotation[:3, :3] = euler2mat(*np.deg2rad((z, y, x)))
    return rotation


def base_affine() -> np.ndarray:
    """The affine (4, 4) of the sources, as float32 holds it."""
    affine = turned(z=BASE_TURN) @ np.diag([*SPACING, 1.0])
    affine[:3, 3] = ORIGIN
    return affine.astype(np.float32).astype(float)


def channels_of(
    names: Sequence[str], modality: str, windows: Sequence[Sequence[float]] | None, shape: Sequence[int] = SHAPE
) -> list[Channel]:
    """The channels of a source.

    Args:
        names: of their files.
        modality: CT or MR.
        windows: ``[low, high]`` of each channel of MR; None for values to 1000.
        shape: of the volumes.
    """
    if modality == "CT":
        return [Channel(name, _ct(shape, seed), 1.0) for seed, name in enumerate(names)]
    named = zip(names, windows or [(0.0, LEVELS)] * len(names), strict=True)
    return [_scaled(name, _head(shape, seed), high) for seed, (name, (_, high)) in enumerate(named)]


def _scaled(name: str, values: np.ndarray, high: float) -> Channel:
    step = 2.0 ** np.floor(np.log2(high / LEVELS))
    return Channel(name, (np.rint(values * high / step) * step).astype(np.float32), step)


def _ct(shape: Sequence[int], seed: int) -> np.ndarray:
    """HU: soft tissue and vessels from -20 to 330, bone of 1100, air of -1000."""
    inside, shell, texture = _parts(shape, seed)
    values = np.where(shell, 1100.0, np.where(inside, 350 * texture - 20, -1000.0))
    return np.asarray(np.rint(values), np.float32)


def _head(shape: Sequence[int], seed: int) -> np.ndarray:
    """MR, from 0 to 1: tissue, a bright shell, and dark noise around it."""
    inside, shell, texture = _parts(shape, seed)
    noise = np.abs(np.random.default_rng(seed + 100).normal(scale=0.01, size=shape))
    return np.where(shell, 0.9, np.where(inside, 0.2 + 0.6 * texture, noise))


def _parts(shape: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which voxels are head and which its shell, and a smooth texture from 0 to 1; all off the centre."""
    places = [(np.arange(n) + 0.5) / n for n in shape]
    x, y, z = np.meshgrid(*places, indexing="ij")
    radius = np.sqrt(((x - 0.46) / 0.41) ** 2 + ((y - 0.53) / 0.42) ** 2 + ((z - 0.48 - 0.1 * x) / 0.4) ** 2)
    noise = np.random.default_rng(seed).normal(size=shape)
    texture = sum(size * ndimage.gaussian_filter(noise, size, mode="nearest") for size in (1.2, 4.0))
    texture = (texture - texture.min()) / np.ptp(texture)
    inside = (radius < 1) | ((x > 0.8) & (y < 0.3) & (z > 0.6))  # with an ear on one side
    return inside, (radius > 0.85) & (radius < 0.93), texture

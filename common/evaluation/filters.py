"""Denoising without a network: non-local means and total variation, as references of an evaluation.

Both are tied to the noise level that a function finds in the volume itself; it knows the modality and its unit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from ..errors import ConfigError
from ..metrics.masked import Volume

NoiseLevel = Callable[[ArrayLike], float]
"""Of a volume (X, Y, Z), the standard deviation of its noise in its unit; it refuses volumes of another kind."""


class NonLocalMeans:
    """Non-local means, slice by slice, (X, Y, Z) -> (X, Y, Z) (Buades et al. 2005; ``skimage.restoration``).

    Args:
        noise_level: see :data:`NoiseLevel`.
        strength: filter strength h over the noise level.
        patch_size: side of the compared patches in voxels.
        patch_distance: largest distance of a compared patch in voxels.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self, noise_level: NoiseLevel, strength: float = 0.8, patch_size: int = 5, patch_distance: int = 6
    ) -> None:
        _require_positive(strength=strength, patch_size=patch_size, patch_distance=patch_distance)
        self.noise_level = noise_level
        self.strength = strength
        self.patch = {"patch_size": patch_size, "patch_distance": patch_distance}

    def __call__(self, volume: ArrayLike) -> Volume:
        """The denoised volume, (X, Y, Z); the volume itself where it has no noise.

        Raises:
            DataError: as the noise level.
        """
        level = self.noise_level(volume)
        values = np.asarray(volume, dtype=np.float64)
        if level == 0:
            return values
        settings = {**self.patch, "h": self.strength * level, "sigma": level, "fast_mode": True}
        slices = [denoise_nl_means(values[..., z], preserve_range=True, **settings) for z in range(values.shape[2])]
        return np.stack(slices, axis=2)


class TotalVariation:
    """Total variation, slice by slice, (X, Y, Z) -> (X, Y, Z) (Rudin et al. 1992; Chambolle 2004).

    Args:
        noise_level: see :data:`NoiseLevel`.
        strength: weight of the total variation over the noise level.

    Raises:
        ConfigError: ``strength`` is not above 0.
    """

    def __init__(self, noise_level: NoiseLevel, strength: float = 0.5) -> None:
        _require_positive(strength=strength)
        self.noise_level = noise_level
        self.strength = strength

    def __call__(self, volume: ArrayLike) -> Volume:
        """The denoised volume, (X, Y, Z); the volume itself where it has no noise.

        Raises:
            DataError: as the noise level.
        """
        weight = self.strength * self.noise_level(volume)
        values = np.asarray(volume, dtype=np.float64)
        if weight == 0:
            return values
        slices = [denoise_tv_chambolle(values[..., z], weight) for z in range(values.shape[2])]
        return np.stack(slices, axis=2)


def _require_positive(**settings: float) -> None:
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(f"{name} is {value!r}, not above 0", "pass a number above 0")

"""Denoising without a network: non-local means and total variation, as references of an evaluation.

Both are tied to the noise that they find in the soft tissue of the volume itself. ``estimate_sigma`` of scikit-image
takes the whole image, of which air is often constant, and needs PyWavelets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from common.errors import ConfigError
from common.metrics.tissue import AIR_HU, BONE_HU
from ldct_wgan_vgg.projection import checked_ct

Volume = NDArray[np.float64]
NORMAL_MAD = 0.6745
"""Median of the absolute value of a standard normal variable."""


def noise_level(volume: ArrayLike) -> float:
    """Standard deviation of the finest noise of a CT in HU, over soft tissue in axial slices; 0 where there is none.

    The median of the absolute diagonal Haar coefficients over 0.6745 (Donoho 1995, IEEE Trans Inf Theory 41:613).
    Noise of a soft kernel is correlated between neighbours, so that it is smaller than the noise's standard deviation.

    Args:
        volume: CT in HU, (X, Y, Z).

    Raises:
        DataError: see :func:`~ldct_wgan_vgg.projection.checked_ct`.
    """
    hu = np.asarray(checked_ct(volume), dtype=np.float64)
    corners = np.stack([hu[x : x + hu.shape[0] - 1, y : y + hu.shape[1] - 1] for x in (0, 1) for y in (0, 1)])
    soft = ((corners > AIR_HU) & (corners < BONE_HU)).all(0)
    details = (corners[0] - corners[1] - corners[2] + corners[3])[soft] / 2
    return float(np.median(np.abs(details)) / NORMAL_MAD) if details.size else 0.0


class NonLocalMeans:
    """Non-local means of a CT in HU, (X, Y, Z) -> (X, Y, Z) (Buades et al. 2005; ``skimage.restoration``).

    Args:
        strength: filter strength h over the noise level, see :func:`noise_level`.
        patch_size: side of the compared patches in voxels.
        patch_distance: largest distance of a compared patch in voxels.
        dimensions: 2 for slice by slice, 3 for patches and search in the volume, which takes some hundred times longer.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self, strength: float = 1.0, patch_size: int = 5, patch_distance: int = 6, dimensions: int = 2
    ) -> None:
        _require_positive(strength=strength, patch_size=patch_size, patch_distance=patch_distance)
        if dimensions not in (2, 3):
            raise ConfigError("dimensions", "is 2 or 3", repr(dimensions), "give 2 for slice by slice")
        self.strength = strength
        self.patch = {"patch_size": patch_size, "patch_distance": patch_distance}
        self.dimensions = dimensions

    def __call__(self, volume: ArrayLike) -> Volume:
        """The denoised CT in HU, (X, Y, Z); the volume itself where its soft tissue has no noise.

        Raises:
            DataError: see :func:`~ldct_wgan_vgg.projection.checked_ct`.
        """
        hu = np.asarray(checked_ct(volume), dtype=np.float64)
        level = noise_level(hu)
        if level == 0:
            return hu
        settings = {**self.patch, "h": self.strength * level, "sigma": level, "fast_mode": True}
        if self.dimensions == 3:
            return np.asarray(denoise_nl_means(hu, preserve_range=True, **settings))
        slices = [denoise_nl_means(hu[..., z], preserve_range=True, **settings) for z in range(hu.shape[2])]
        return np.stack(slices, axis=2)


class TotalVariation:
    """Total variation of a CT in HU, slice by slice, (X, Y, Z) -> (X, Y, Z) (Rudin et al. 1992; Chambolle 2004).

    Args:
        strength: weight of the total variation over the noise level in HU, see :func:`noise_level`.

    Raises:
        ConfigError: ``strength`` is not above 0.
    """

    def __init__(self, strength: float = 1.0) -> None:
        _require_positive(strength=strength)
        self.strength = strength

    def __call__(self, volume: ArrayLike) -> Volume:
        """The denoised CT in HU, (X, Y, Z); the volume itself where its soft tissue has no noise.

        Raises:
            DataError: see :func:`~ldct_wgan_vgg.projection.checked_ct`.
        """
        hu = np.asarray(checked_ct(volume), dtype=np.float64)
        weight = self.strength * noise_level(hu)
        if weight == 0:
            return hu
        slices = [denoise_tv_chambolle(hu[..., z], weight) for z in range(hu.shape[2])]
        return np.stack(slices, axis=2)


def _require_positive(**settings: float) -> None:
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(name, "is a number above 0", repr(value), "correct it")

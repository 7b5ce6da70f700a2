"""Denoising without a network: non-local means and total variation, as references of an evaluation.

Both are tied to the noise that they find in the soft tissue of the volume itself. An estimate by the finest wavelet, as
``estimate_sigma`` of scikit-image is one, hardly sees the correlated noise of a soft kernel: where 38 HU were inserted
into a real CT, that of Haar's rose from 17 to 20 HU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import minimum_filter, uniform_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from common.errors import ConfigError
from common.metrics.tissue import AIR_HU, BONE_HU
from ldct_wgan_vgg.projection import checked_ct

Volume = NDArray[np.float64]
NEIGHBOURS = 5
"""Side in pixels of the squares whose standard deviation is taken."""
LEAST_NOISE_HU = 0.1
"""Squares with less have no noise: a scanner stores whole HU."""
BINS = 25
"""Bins of the histogram of these standard deviations."""


def noise_level(volume: ArrayLike) -> float:
    """Standard deviation of the noise of a CT in HU, over soft tissue in axial slices; 0 where it has none.

    The peak of the histogram of the standard deviations in squares of ``NEIGHBOURS`` pixels that lie in soft tissue
    (``AIR_HU`` to ``BONE_HU``): most of them are even, those with vessels and edges make the tail. In images coarser
    than 3 mm it includes anatomy.

    Args:
        volume: CT in HU, (X, Y, Z).

    Raises:
        DataError: see :func:`~ldct_wgan_vgg.projection.checked_ct`.

    Source: Christianson et al. 2015, AJR 205:W93.
    """
    hu = np.asarray(checked_ct(volume), dtype=np.float64)
    square = (NEIGHBOURS, NEIGHBOURS, 1)
    soft = minimum_filter(((hu > AIR_HU) & (hu < BONE_HU)).astype(np.uint8), square, mode="constant") > 0
    if not soft.any():
        return 0.0
    mean, squares = (uniform_filter(each, square) for each in (hu, hu**2))
    deviations = np.sqrt(np.maximum(squares - mean**2, 0)[soft])
    noisy = deviations[deviations > LEAST_NOISE_HU]
    if 2 * noisy.size < deviations.size:
        return 0.0
    counts, edges = np.histogram(noisy, BINS, (0, np.percentile(noisy, 99)))
    peak = int(np.argmax(counts))
    return float(edges[peak : peak + 2].mean())


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
        self, strength: float = 0.8, patch_size: int = 5, patch_distance: int = 6, dimensions: int = 2
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

    def __init__(self, strength: float = 0.5) -> None:
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

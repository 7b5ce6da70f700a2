"""Masked structural similarity, on one scale (SSIM) and five (MS-SSIM), with the exact values of SynthRAD."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import uniform_filter

from .masked import Mask, Volume, checked_range, checked_volumes, mean_or_nan

WINDOW = 7
"""Side of the uniform window in voxels; the outermost ``WINDOW // 2`` voxels of the volume are not scored."""

K1, K2 = 0.01, 0.03
"""Stabilising constants of Wang et al. 2004: C1 = (K1 L)^2, C2 = (K2 L)^2, C3 = C2 / 2."""

LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponent of each level, finest first (Wang et al. 2003)."""

SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(LEVEL_WEIGHTS) - 1) + 1
"""Smallest side (97) that fills one window after all halvings; MS-SSIM pads smaller sides to it."""


def ssim(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]) -> float:
    """Mean structural similarity inside the mask, at most 1 (identical); the definition of SynthRAD2023.

    Both volumes are clipped to ``value_range``, set to its lower end outside the mask and shifted to start at 0; local
    moments come from a uniform window with sample covariance. A mask without a voxel ``WINDOW // 2`` or more away from
    the volume's border gives nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes` and
        :func:`~common.metrics.masked.checked_range`. Source: Wang et al. 2004, eq. 13; SynthRAD2023 image metrics.
    """
    pred, truth, inside, width = prepared(pred, truth, mask, value_range)
    luminance, contrast, structure = _similarities(pred, truth, width)
    return _inner_mean(luminance * contrast * structure, inside)


def ms_ssim(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]) -> float:
    """Structural similarity over five scales inside the mask, in [0, 1]; the definition of SynthRAD2025.

    Luminance, contrast and structure are clipped at 0 and all three raised to the level's exponent at every level; the
    level's mean inside the mask is clipped at 0, and the score is the product of the levels. Sides under 97 voxels are
    padded with their edge values. A mask that is empty on a coarse level gives nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes` and
        :func:`~common.metrics.masked.checked_range`. Source: Wang et al. 2003; SynthRAD2025 image metrics.
    """
    pred, truth, inside, width = prepared(pred, truth, mask, value_range)
    pred, truth, inside = _padded(pred), _padded(truth), _padded(inside)
    score = 1.0
    for level, weight in enumerate(LEVEL_WEIGHTS):
        if level:
            pred, truth, inside = _halved(pred), _halved(truth), _every_second(inside)
        product = np.ones_like(pred)
        for similarity in _similarities(pred, truth, width):
            product *= np.maximum(similarity, 0) ** weight
        score *= np.maximum(_inner_mean(product, inside), 0)
    return float(score)


def prepared(
    pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]
) -> tuple[Volume, Volume, Mask, float]:
    """Clip to the range, fill outside the mask with its lower end and shift that to 0; also the range's width."""
    low, high = checked_range(value_range)
    pred, truth, inside = checked_volumes(pred, truth, mask)
    pred, truth = (np.where(inside, np.clip(volume, low, high) - low, 0.0) for volume in (pred, truth))
    return pred, truth, inside, high - low


def _similarities(pred: Volume, truth: Volume, width: float) -> tuple[Volume, Volume, Volume]:
    """Maps of luminance, contrast and structure similarity (Wang et al. 2004, eq. 6, 9 and 10)."""
    c1, c2 = (K1 * width) ** 2, (K2 * width) ** 2
    count: int = WINDOW**pred.ndim
    mean_p, mean_t = uniform_filter(pred, WINDOW), uniform_filter(truth, WINDOW)

    def covariance(a: Volume, b: Volume, mean_a: Volume, mean_b: Volume) -> Volume:
        mean_ab: Volume = uniform_filter(a * b, WINDOW)
        return (mean_ab - mean_a * mean_b) * (count / (count - 1))

    # Rounding can make the variance of a constant window slightly negative.
    var_p = np.maximum(covariance(pred, pred, mean_p, mean_p), 0)
    var_t = np.maximum(covariance(truth, truth, mean_t, mean_t), 0)
    both = np.sqrt(var_p * var_t)
    luminance = (2 * mean_p * mean_t + c1) / (mean_p**2 + mean_t**2 + c1)
    contrast = (2 * both + c2) / (var_p + var_t + c2)
    structure = (covariance(pred, truth, mean_p, mean_t) + c2 / 2) / (both + c2 / 2)
    return luminance, contrast, structure


def _inner_mean(similarity: Volume, inside: Mask) -> float:
    """Mean inside the mask over the voxels whose window lies inside the volume; nan without such a voxel."""
    inner = (slice(WINDOW // 2, -(WINDOW // 2)),) * similarity.ndim
    return mean_or_nan(similarity[inner][inside[inner]])


def _padded(volume: np.ndarray) -> np.ndarray:
    """Extend sides under ``SMALLEST_SIDE`` by their edge values, half before (rounded down) and the rest after."""
    missing = [max(SMALLEST_SIDE - side, 0) for side in volume.shape]
    return np.pad(volume, [(m // 2, m - m // 2) for m in missing], mode="edge")


def _halved(volume: Volume) -> Volume:
    """Average each voxel with the one before it on every axis, zeros before the first, and keep every second."""
    return _every_second(uniform_filter(volume, 2, mode="constant"))


def _every_second(volume: np.ndarray) -> np.ndarray:
    return volume[(slice(None, None, 2),) * volume.ndim]

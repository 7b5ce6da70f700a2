"""Metrics of detail inside a mask: sharpness, high-frequency error norm, intensity jumps between slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_laplace

from ..errors import ConfigError
from .masked import Mask, Volume, checked_volumes

HFEN_SIGMA = 1.5
"""Standard deviation in voxels of the Laplacian of Gaussian in ``hfen`` (Ravishankar and Bresler 2011)."""


def sharpness(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Mean gradient magnitude of the prediction over that of the truth inside the mask.

    Ideal 1; below 1 the prediction is blurred, above 1 it has too much texture. Gradients are central differences per
    voxel; the edge of the mask is treated like the edge of the volume (one-sided difference), so that the background
    and a constant offset have no effect. A truth that is constant inside the mask gives nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    return _ratio(_gradient_magnitude(pred, inside)[inside].mean(), _gradient_magnitude(truth, inside)[inside].mean())


def hfen(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """High-frequency error norm inside the mask: ||LoG(pred) - LoG(truth)|| / ||LoG(truth)||, ideal 0.

    LoG is the Laplacian of Gaussian with ``HFEN_SIGMA`` voxels. Outside the mask the prediction is assumed to equal the
    truth, so that errors of the background have no effect. A truth without high frequencies inside the mask gives nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes`. Source: Ravishankar and Bresler 2011.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    error = gaussian_laplace(np.where(inside, pred - truth, 0.0), HFEN_SIGMA)
    return _ratio(np.linalg.norm(error[inside]), np.linalg.norm(gaussian_laplace(truth, HFEN_SIGMA)[inside]))


def slice_jumps(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, axis: int = 2) -> float:
    """Intensity jumps between slices of the prediction relative to those of the truth, along ``axis``.

    A jump is the absolute difference of the mean intensities inside the mask of two neighbouring slices that both
    contain mask; the metric is the ratio of the mean jumps. Ideal 1; slice-wise networks give more. Fewer than two
    neighbouring slices, or a truth without jumps, gives nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes`; also
        ConfigError: the volumes have no such ``axis``.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    if not -truth.ndim <= axis < truth.ndim:
        raise ConfigError(f"axis is {axis}, not one of the {truth.ndim} of the volumes", "use 0, 1 or 2")
    across = tuple(other for other in range(truth.ndim) if other != axis % truth.ndim)
    voxels = inside.sum(axis=across)
    pairs = (voxels[1:] > 0) & (voxels[:-1] > 0)
    if not pairs.any():
        return float("nan")

    def mean_jump(volume: Volume) -> float:
        means = np.where(inside, volume, 0.0).sum(axis=across) / np.maximum(voxels, 1)
        return float(np.abs(np.diff(means))[pairs].mean())

    return _ratio(mean_jump(pred), mean_jump(truth))


def _gradient_magnitude(volume: Volume, inside: Mask) -> Volume:
    """Length of the gradient per voxel inside the mask, from differences between voxels of the mask only."""
    squares = np.zeros_like(volume)
    for axis in range(volume.ndim):
        lower = (slice(None),) * axis + (slice(None, -1),)
        upper = (slice(None),) * axis + (slice(1, None),)
        pairs = inside[lower] & inside[upper]
        steps = np.where(pairs, np.diff(volume, axis=axis), 0.0)
        total, count = np.zeros_like(volume), np.zeros_like(volume)
        for side in (lower, upper):
            total[side] += steps
            count[side] += pairs
        squares += (total / np.maximum(count, 1)) ** 2
    return np.sqrt(squares)


def _ratio(value: float | np.floating, reference: float | np.floating) -> float:
    return float(value / reference) if reference > 0 else float("nan")

"""Visual information fidelity in the pixel domain, inside a mask."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d

from .masked import Mask, Volume
from .similarity import prepared

SIDES = (17, 9, 5, 3)
"""Sides in pixels of the Gaussian window, finest scale first; its standard deviation is a fifth of the side."""
GREYS = 255.0
"""Grey values over the value range; the noise of the observer is defined on eight bits."""
OBSERVER_NOISE = 2.0
"""Variance of that noise, in squared grey values."""
TINY = 1e-10

Kind = TypeVar("Kind", Volume, Mask)


def vif(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]) -> float:
    """Visual information fidelity inside the mask: 1 for identical volumes, 0 for no information of the truth left.

    The pixel-domain form on four scales, of the slices across the last axis together: information that an observer with
    noise gets of the truth through the prediction, over that of the truth itself. Both volumes are clipped to
    ``value_range``, which becomes 0 to 255, and set to its lower end outside the mask. A window counts where it lies in
    the slice and its centre in the mask; without such a window, or for a truth without texture, the score is nan.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes` and
        :func:`~common.metrics.masked.checked_range`. Source: Sheikh and Bovik 2006.
    """
    pred, truth, inside, width = prepared(pred, truth, mask, value_range)
    pred, truth = pred * (GREYS / width), truth * (GREYS / width)
    received = available = 0.0
    for scale, side in enumerate(SIDES):
        window = np.exp(-0.5 * ((np.arange(side) - side // 2) / (side / 5)) ** 2)
        window /= window.sum()
        if scale:
            pred, truth = (_smoothed(volume, window)[::2, ::2] for volume in (pred, truth))
            inside = _inner(inside, side)[::2, ::2]
        if min(pred.shape[:2]) < side:
            break
        ours, all_of_it = _information(pred, truth, window)
        centres = _inner(inside, side)
        received += float(ours[centres].sum())
        available += float(all_of_it[centres].sum())
    return received / available if available else float("nan")


def _information(pred: Volume, truth: Volume, window: NDArray[np.float64]) -> tuple[Volume, Volume]:
    """Information of each window, through the prediction and of the truth itself."""
    mean_p, mean_t = _smoothed(pred, window), _smoothed(truth, window)
    var_p = np.maximum(_smoothed(pred * pred, window) - mean_p**2, 0)
    var_t = np.maximum(_smoothed(truth * truth, window) - mean_t**2, 0)
    both = _smoothed(pred * truth, window) - mean_p * mean_t
    # The prediction is gain x truth + noise; without texture, or with inverted texture, all of it is noise.
    var_t[var_t < TINY] = 0
    gain = np.where((var_t > 0) & (var_p >= TINY), np.maximum(both, 0) / (var_t + TINY), 0)
    noise = np.maximum(np.where(gain > 0, var_p - gain * both, var_p), TINY)
    return np.log1p(gain**2 * var_t / (noise + OBSERVER_NOISE)), np.log1p(var_t / OBSERVER_NOISE)


def _smoothed(volume: Volume, window: NDArray[np.float64]) -> Volume:
    """Weighted means over the windows that lie inside the slice."""
    for axis in (0, 1):
        volume = correlate1d(volume, window, axis=axis, mode="constant")
    return _inner(volume, len(window))


def _inner(volume: Kind, side: int) -> Kind:
    edge = side // 2
    return volume[edge : volume.shape[0] - edge, edge : volume.shape[1] - edge]

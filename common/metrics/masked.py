"""Masked MAE, MSE and PSNR, and the checks of their inputs; the background has no effect."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError, DataError

Volume = NDArray[np.float64]
Mask = NDArray[np.bool_]

INVERTED_SIDES = 0.75
"""Share of the voxels on the six sides of a volume that a mask of the body does not have, but the inverted one."""
CT_RANGE = (-1024.0, 3000.0)
"""Value range in HU that SynthRAD2023 clips CT to before PSNR and SSIM; SynthRAD2025 clips at 3071."""


def checked_volumes(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> tuple[Volume, Volume, Mask]:
    """Return prediction and truth as float64 and the mask as booleans (true where the given mask is above 0).

    Args:
        pred: synthetic volume (X, Y, Z), or (X, Y, Z, C).
        truth: real volume of the same shape in the same unit.
        mask: the voxels to score (X, Y, Z), above 0 inside.

    Raises:
        DataError: shapes differ, a value is not finite (inside or outside the mask), or the mask is empty.
    """
    volumes = {"prediction": np.asarray(pred), "truth": np.asarray(truth), "mask": np.asarray(mask)}
    shape = volumes["truth"].shape
    for name, volume in volumes.items():
        if volume.shape != (shape[:3] if name == "mask" else shape):
            raise DataError(f"{name} has shape {volume.shape}, the truth {shape}", "resample it to that grid")
        bad = volume.size - np.count_nonzero(np.isfinite(volume))
        if bad:
            raise DataError(f"{name} has {bad} NaN or infinite voxels", "fill or fix them")
    inside = volumes["mask"] > 0
    if not inside.any():
        raise DataError("mask is empty", "pass the mask of the body or the brain")
    return volumes["prediction"].astype(np.float64), volumes["truth"].astype(np.float64), inside


def mask_fault(mask: ArrayLike, *images: ArrayLike) -> tuple[str, str] | None:
    """Fault and remedy of a mask of the body or the brain; None for a sound one.

    Args:
        mask: (X, Y, Z), above 0 inside.
        *images: (X, Y, Z) that it marks, those on its grid. A mask is inverted where it has most of the volume's sides,
            marks what is dark in each of them and excludes what is not.
    """
    values = np.asarray(mask)
    inside = values > 0
    if not inside.any():
        return "is empty", "draw it again or remove it"
    if values.min() < 0 or values[inside].min() != values[inside].max():
        return "has values below 0, or several above, as an image has", "give the mask"
    sides = np.concatenate([side.ravel() for axis in range(3) for side in np.moveaxis(inside, axis, 0)[[0, -1]]])
    if images and sides.mean() > INVERTED_SIDES and all(_is_air(np.asarray(shown), inside) for shown in images):
        return "marks the air around something brighter", "invert it"
    return None


def _is_air(image: NDArray[np.floating], inside: Mask) -> bool:
    """Whether a mask marks the darkest tenth of an image's range, and no more than that, by medians."""
    low, high = np.percentile(image, (0, 99))
    limit = low + (high - low) / 10
    return not inside.all() and bool(np.median(image[inside]) < limit < np.median(image[~inside]))


def mean_or_nan(values: Volume) -> float:
    """Mean of values of any shape; nan if there are none."""
    return float(values.mean()) if values.size else float("nan")


def checked_range(value_range: tuple[float, float]) -> tuple[float, float]:
    """Return ``value_range`` as two floats.

    Raises:
        ConfigError: not two finite numbers, the lower one first.
    """
    limits = tuple(float(limit) for limit in value_range)
    if len(limits) != 2 or not np.isfinite(limits).all() or limits[0] >= limits[1]:
        raise ConfigError(f"--value_range is {value_range}, not two numbers, the lower first", "pass [low, high]")
    return limits[0], limits[1]


def mae(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Mean absolute error inside the mask, unclipped, in the unit of the volumes.

    Args and Raises: see :func:`checked_volumes`. Source: SynthRAD2025 image metrics.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    return float(np.abs(pred[inside] - truth[inside]).mean())


def mse(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Mean squared error inside the mask, unclipped, in the squared unit of the volumes.

    Args and Raises: see :func:`checked_volumes`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    return float(np.square(pred[inside] - truth[inside]).mean())


def require_in_range(values: Volume, value_range: tuple[float, float]) -> None:
    """Refuse a range without any of the truth's values (N,) inside the mask: clipped to it, all images are the same.

    Raises:
        ConfigError: for such a range, and as :func:`checked_range`.
    """
    low, high = checked_range(value_range)
    if not ((values >= low) & (values <= high)).any():
        truth = f"the truth, {values.min():g} to {values.max():g} inside the mask"
        raise ConfigError(f"--value_range is {low:g} to {high:g}, without a value of {truth}", "widen it")


def psnr(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]) -> float:
    """Peak signal to noise ratio in dB inside the mask: 10 log10(Q^2 / MSE), infinite where the MSE is 0.

    Both volumes are clipped to ``value_range`` first and Q is its width (4024 HU for ``CT_RANGE``), not the
    peak of the truth.

    Args and Raises: see :func:`checked_volumes` and :func:`checked_range`. Source: SynthRAD2025 image metrics.
    """
    low, high = checked_range(value_range)
    pred, truth, inside = checked_volumes(pred, truth, mask)
    error = np.square(np.clip(pred[inside], low, high) - np.clip(truth[inside], low, high)).mean()
    return float("inf") if error == 0 else float(10 * np.log10((high - low) ** 2 / error))


def psnr_nie(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Peak signal to noise ratio of Nie et al. 2017 in dB inside the mask: 20 log10(peak / RMSE), infinite where the
    RMSE is 0; the peak is the larger maximum of prediction and truth inside the mask.

    Nothing is clipped and no value range is used: the peak is a value of the data, so that the metric depends on their
    zero. It is comparable between runs on data of one normalisation (published: z-scores, [0, 1] or HU shifted to
    start at 0), but not with :func:`psnr`. A peak that is not above 0 gives nan.

    Args and Raises: see :func:`checked_volumes`.
    """
    shown, real, inside = checked_volumes(pred, truth, mask)
    return psnr_of_peak(pred, truth, mask, max(shown[inside].max(), real[inside].max()))


def psnr_of_peak(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, peak: float) -> float:
    """Peak signal to noise ratio in dB inside the mask, unclipped: 20 log10(peak / RMSE), infinite where the RMSE is 0.

    A peak that is not above 0 gives nan.

    Args and Raises: see :func:`checked_volumes`; ``peak`` is in the unit of the volumes.
    """
    error = mse(pred, truth, mask)
    if peak <= 0:
        return float("nan")
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))

"""Errors of a restored MR, whose scanner's unit is arbitrary."""

from __future__ import annotations

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import ArrayLike

from common.errors import DataError
from common.metrics import mae, score
from common.metrics.line_integrals import checked_affine
from common.metrics.masked import checked_volumes

PERCENTILE = 99.5
"""Of the truth inside the mask: what is bright, in percent."""


def relative_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """The scores of :func:`common.metrics.score` with a range from 0 to a percentile of the truth, and ``nmae``.

    ``mae`` and ``mse`` are in the scanner's unit; ``nmae`` is ``mae`` over that percentile, which compares scanners.

    Args:
        pred: restored or degraded MR (X, Y, Z).
        truth: (X, Y, Z) in the same unit, not negative.
        mask: the head (X, Y, Z), above 0 inside.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`.
        ConfigError: the percentile of the truth is not above 0.
    """
    scores = score(pred, truth, mask, (0.0, _brightness(truth, mask)))
    return {**scores, "nmae": relative_mae(pred, truth, mask)}


def fastmri_scores(pred: ArrayLike, truth: ArrayLike, affine: ArrayLike) -> dict[str, float]:
    """``nmse``, ``psnr_volume`` (dB) and ``ssim_slices`` of a whole volume, as fastMRI's evaluation has them.

    Both volumes are cut to squares around the middle of their slices, which lie across the longest side of a voxel.
    Peak of the PSNR and range of the SSIM are the maximum of the truth; SSIM is the mean of the slices'.

    Args:
        pred: reconstructed MR (X, Y, Z).
        truth: that of all lines (X, Y, Z) in the same unit.
        affine: (4, 4) of both, to RAS mm.

    Raises:
        DataError: shapes differ, or the truth has no value above 0.

    Source: Zbontar et al. 2018, arXiv 1811.08839; ``fastmri.evaluate`` 0.3.0.
    """
    from skimage.metrics import structural_similarity  # of benchmarks alone

    across = int(np.argmax(voxel_sizes(checked_affine(affine))))
    shown, real = (np.moveaxis(np.asarray(each, float), across, 0) for each in (pred, truth))
    if shown.shape != real.shape or not real.max() > 0:
        fault = f"prediction {shown.shape} and truth {real.shape}, up to {real.max():g}, cannot be compared"
        raise DataError(fault, "give volumes on one grid, whose truth has values above 0")
    side = min(real.shape[1:])
    first = [(n - side) // 2 for n in real.shape[1:]]
    square = (slice(None), *(slice(start, start + side) for start in first))
    shown, real = shown[square], real[square]
    peak, squared = float(real.max()), np.square(real - shown)
    similar = [structural_similarity(one, other, data_range=peak) for one, other in zip(real, shown, strict=True)]
    error = float(squared.mean())
    return {
        "nmse": float(squared.sum() / np.square(real).sum()),
        "psnr_volume": float(10 * np.log10(peak**2 / error)) if error else float("inf"),
        "ssim_slices": float(np.mean(similar)),
    }


def relative_mae(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """``nmae`` of :func:`relative_scores`."""
    return mae(pred, truth, mask) / _brightness(truth, mask)


def _brightness(truth: ArrayLike, mask: ArrayLike) -> float:
    _, real, inside = checked_volumes(truth, truth, mask)
    return float(np.percentile(real[inside], PERCENTILE))

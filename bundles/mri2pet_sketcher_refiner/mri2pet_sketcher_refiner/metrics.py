"""Metrics by white matter region: errors in lesions and normal-appearing white matter (NAWM), demyelination maps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from common.errors import DataError
from common.metrics import lesion_ratio
from common.metrics.masked import Mask, checked_volumes, psnr_of_peak
from common.segmenter.segmentation import dice

DEMYELINATION_SD = 2.0
"""Threshold of demyelination, in standard deviations of the true NAWM below its mean."""


def region_scores(
    pred: ArrayLike,
    truth: ArrayLike,
    lesion: ArrayLike | None = None,
    nawm: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> dict[str, float]:
    """Scores by region of a synthetic myelin map, as far as the case has the regions.

    A case whose lesion mask is absent, or has no voxel, is a control: its ``nawm`` holds the white matter of a healthy
    subject. A voxel of both regions counts as lesion. Scores of a case with lesions:

    - ``lesion_error``, ``nawm_error``: mean |prediction - truth| over the region, ideal 0.
    - ``lesion_contrast``, ``lesion_contrast_truth``: mean over the lesions / mean over NAWM, of the prediction and of
      the truth, which is the ideal value; below 1 where myelin is lost. Omitted if the mean over NAWM is not above 0,
      as in z-scores.
    - ``demyelination_dice``: Dice overlap in [0, 1] of the demyelination maps; see :func:`demyelination_dice`.

    Scores of a control:

    - ``control_wm_error``: mean |prediction - truth| over ``nawm``.

    Args:
        pred: synthetic volume (X, Y, Z).
        truth: real volume (X, Y, Z) in the same unit.
        lesion: lesions (X, Y, Z), above 0 inside.
        nawm: normal-appearing white matter, or the white matter of a control.
        mask: the voxels to score, above 0 inside; None for all. Regions are restricted to it.

    Raises:
        DataError: shapes differ, a value is not finite or the mask is empty.
    """
    everywhere = np.ones(np.shape(truth), dtype=bool)
    pred, truth, inside = checked_volumes(pred, truth, everywhere if mask is None else mask)
    lesions = _region("lesion", lesion, inside)
    white = _region("nawm", nawm, inside) & ~lesions
    error = np.abs(pred - truth)
    if not lesions.any():
        return {"control_wm_error": float(error[white].mean())} if white.any() else {}
    scores = {"lesion_error": float(error[lesions].mean())}
    if not white.any():
        return scores
    scores["nawm_error"] = float(error[white].mean())
    for name, volume in (("lesion_contrast", pred), ("lesion_contrast_truth", truth)):
        if not math.isnan(ratio := lesion_ratio(volume, lesions, white)):
            scores[name] = ratio
    threshold = white_matter_threshold(truth, white)
    return scores | {"demyelination_dice": demyelination_dice(pred, truth, lesions | white, threshold)}


def peak_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """PSNR with the peak of the truth, to be read next to the published values, and that peak.

    - ``psnr_peak``: 20 log10(peak / RMSE) in dB inside the mask, unclipped; infinite where the RMSE is 0, nan where the
      peak is not above 0, as in z-scores.
    - ``peak_truth``: the peak, the largest true value inside the mask, in the unit of the volumes.

    Wei et al. 2019 print MSE and PSNR without the peak; 20 log10(maximum of the image) - 10 log10(MSE) is the usual
    definition. The printed pairs imply a peak, sqrt(MSE 10^(PSNR / 10)), of 2.85 to 3.02.

    Args and Raises: see :func:`~common.metrics.masked.checked_volumes`.
    """
    _, real, inside = checked_volumes(pred, truth, mask)
    peak = float(real[inside].max())
    return {"psnr_peak": psnr_of_peak(pred, truth, mask, peak), "peak_truth": peak}


def demyelination_maps(
    pred: np.ndarray,
    truth: np.ndarray | None = None,
    lesion: np.ndarray | None = None,
    nawm: np.ndarray | None = None,
    **others: np.ndarray,
) -> dict[str, np.ndarray]:
    """Demyelination maps: lesions and NAWM below :func:`white_matter_threshold` in prediction and truth, by title.

    Empty for a case that lacks truth, lesions or NAWM. ``others`` are ignored.
    """
    if truth is None or lesion is None or nawm is None or not (nawm > 0).any():
        return {}
    threshold = white_matter_threshold(truth, nawm)
    region = (lesion > 0) | (nawm > 0)
    titled = {"Demyelination, synthetic": pred, "Demyelination, true": truth}
    return {title: region & (volume < threshold) for title, volume in titled.items()}


def white_matter_threshold(truth: ArrayLike, nawm: ArrayLike) -> float:
    """Threshold ``DEMYELINATION_SD`` population standard deviations below the mean of the true NAWM.

    Args:
        truth: real volume (X, Y, Z).
        nawm: normal-appearing white matter (X, Y, Z), above 0 inside, not empty.
    """
    values = np.asarray(truth, dtype=np.float64)[np.asarray(nawm) > 0]
    return float(values.mean() - DEMYELINATION_SD * values.std())


def demyelination_dice(pred: ArrayLike, truth: ArrayLike, region: ArrayLike, threshold: float) -> float:
    """Dice overlap in [0, 1] of the voxels below a threshold in prediction and truth, inside a region.

    Both maps have the same threshold, so that a bias of the prediction lowers the score. If both maps are empty they
    agree and the Dice is 1: excluding such cases would count false maps of them but never correct ones.

    Args:
        pred: synthetic volume (X, Y, Z).
        truth: real volume (X, Y, Z) in the same unit.
        region: lesions and NAWM (X, Y, Z), above 0 inside.
        threshold: in the unit of the volumes.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`.
    """
    pred, truth, inside = checked_volumes(pred, truth, region)
    overlap = dice(pred[inside] < threshold, truth[inside] < threshold)
    return 1.0 if math.isnan(overlap) else overlap


def _region(name: str, region: ArrayLike | None, inside: Mask) -> Mask:
    """Region restricted to the mask; empty if it is not given."""
    if region is None:
        return np.zeros_like(inside)
    if np.shape(region) != inside.shape:
        fault = f"{name} has shape {np.shape(region)}, the truth {inside.shape}"
        raise DataError(fault, "resample it to the truth's grid")
    return inside & (np.asarray(region) > 0)

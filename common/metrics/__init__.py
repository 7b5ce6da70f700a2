"""Metrics inside a mask, on float64 arrays (X, Y, Z): MAE, PSNR, SSIM, VIF, HFEN, by tissue, of attenuation."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from ..units import HU
from .attenuation import attenuation_scores
from .detail import HFEN_SIGMA, hfen, sharpness, slice_jumps
from .fidelity import vif
from .ignite import MaskedMetric
from .lesions import lesion_ratio, lesion_scores
from .masked import CT_RANGE, checked_volumes, mae, mse, psnr, psnr_nie, require_in_range
from .pictures import picture_scores
from .similarity import ms_ssim, ssim
from .skull import skull_errors, skull_map, skull_rays, skull_scores
from .structures import StructureOverlap
from .tissue import air_dice, bone_dice, ct_scores, tissue_errors, tissue_order
from .tissue_dice import TissueDice

__all__ = [
    "CT_RANGE",
    "HFEN_SIGMA",
    "HU",
    "MaskedMetric",
    "StructureOverlap",
    "TissueDice",
    "air_dice",
    "attenuation_scores",
    "bone_dice",
    "ct_scores",
    "hfen",
    "lesion_ratio",
    "lesion_scores",
    "mae",
    "ms_ssim",
    "mse",
    "nie_scores",
    "picture_scores",
    "psnr",
    "psnr_nie",
    "score",
    "sharpness",
    "skull_errors",
    "skull_map",
    "skull_rays",
    "skull_scores",
    "slice_jumps",
    "ssim",
    "tissue_errors",
    "tissue_order",
    "value_range",
    "vif",
]


def nie_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """Return ``psnr_nie``, the PSNR of Nie et al. 2017; see :func:`common.metrics.masked.psnr_nie`."""
    return {"psnr_nie": psnr_nie(pred, truth, mask)}


def value_range(unit: str, window: Sequence[float]) -> tuple[float, float]:
    """The range that PSNR and SSIM clip to: that of CT for HU, in another unit the window of the target."""
    low, high = CT_RANGE if unit == HU else window
    return float(low), float(high)


def score(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, value_range: tuple[float, float]) -> dict[str, float]:
    """Return the metrics of every table: mae, mse, psnr, ssim, ms_ssim, vif, hfen and sharpness.

    Args:
        pred: synthetic volume (X, Y, Z).
        truth: real volume (X, Y, Z) in the same unit.
        mask: the voxels to score (X, Y, Z), above 0 inside.
        value_range: lowest and highest value of the modality, used by psnr, ssim, ms_ssim and vif; ``CT_RANGE`` for
            HU.

    Raises:
        DataError: shapes differ, a value is not finite or the mask is empty.
        ConfigError: ``value_range`` is not two finite numbers, the lower one first, or holds no value of the truth.
    """
    _, real, inside = checked_volumes(pred, truth, mask)
    require_in_range(real[inside], value_range)
    return {
        "mae": mae(pred, truth, mask),
        "mse": mse(pred, truth, mask),
        "psnr": psnr(pred, truth, mask, value_range),
        "ssim": ssim(pred, truth, mask, value_range),
        "ms_ssim": ms_ssim(pred, truth, mask, value_range),
        "vif": vif(pred, truth, mask, value_range),
        "hfen": hfen(pred, truth, mask),
        "sharpness": sharpness(pred, truth, mask),
    }

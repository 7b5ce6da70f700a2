"""CT metrics by tissue: MAE and bias of air, soft tissue and bone, Dice of bone and air cavities, order of tissues."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from ..segmenter.segmentation import dice
from ..transforms.body import CAVITY_HU
from ..units import BONE_ABOVE_HU, HU, tissues_of
from .detail import slice_jumps
from .masked import checked_volumes, mean_or_nan


def tissue_errors(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """MAE and bias in HU of every tissue inside the mask: ``mae_air``, ``bias_air``, ``mae_soft``, ...

    The bias is the mean of prediction minus truth. Both are nan where the truth has none of a tissue.

    Args:
        pred: synthetic CT (X, Y, Z) in HU.
        truth: real CT (X, Y, Z) in HU, which defines the tissues.
        mask: the voxels to score (X, Y, Z), above 0 inside.

    Raises:
        DataError: see :func:`~common.metrics.masked.checked_volumes`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    scores: dict[str, float] = {}
    for name, where in tissues_of(truth).items():
        errors = (pred - truth)[inside & where]
        scores |= {f"mae_{name}": mean_or_nan(np.abs(errors)), f"bias_{name}": mean_or_nan(errors)}
    return scores


def bone_dice(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Dice overlap in [0, 1] of bone (above ``BONE_ABOVE_HU``) in prediction and truth; nan where neither has bone.

    Args and Raises: see :func:`tissue_errors`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    return dice(pred[inside] > BONE_ABOVE_HU, truth[inside] > BONE_ABOVE_HU)


def air_dice(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """Dice overlap in [0, 1] of air cavities (below ``CAVITY_HU`` inside the mask); nan where neither has any.

    The mask holds the head with its cavities and no air around it. Args and Raises: see :func:`tissue_errors`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    return dice(pred[inside] < CAVITY_HU, truth[inside] < CAVITY_HU)


def outside_errors(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """``mae_outside``, in HU, and ``tissue_outside``, the share of true air that was given tissue, outside the mask.

    Tissue is above ``CAVITY_HU``; a mask may leave some skin outside. Both are nan where nothing is outside.
    Args and Raises: see :func:`tissue_errors`.
    """
    pred, truth, inside = checked_volumes(pred, truth, mask)
    outside = ~inside
    air = outside & (truth < CAVITY_HU)
    return {
        "mae_outside": mean_or_nan(np.abs(pred[outside] - truth[outside])),
        "tissue_outside": mean_or_nan((pred[air] > CAVITY_HU).astype(float)),
    }


def tissue_order(ct: ArrayLike, regions: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Median HU of every region, by its name, and ``ordered``: 1 if the medians rise strictly in the order given, or 0.

    Over the range of CT the brain's tissues are so close together that no mean error shows whether they are separable.

    Args:
        ct: (X, Y, Z) in HU.
        regions: masks (X, Y, Z), above 0 inside, in the order of their true HU: fluid, white matter, grey matter.

    Raises:
        DataError: a region has another shape or no voxel, or a value is not finite.
    """
    medians = {}
    for name, region in regions.items():
        values, _, inside = checked_volumes(ct, ct, region)
        medians[name] = float(np.median(values[inside]))
    return {**medians, "ordered": float(all(low < high for low, high in pairwise(medians.values())))}


def ct_scores(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike, unit: str = HU) -> dict[str, float]:
    """CT metrics that complement :func:`common.metrics.score`, in HU: errors by tissue, Dice of bone and air cavities,
    errors outside the mask, slice jumps.

    ``slice_jumps`` is the maximum over the three axes, since slice-wise networks flicker along one of them;
    in another ``unit`` than HU it is the only one.

    Args and Raises: see :func:`tissue_errors`.
    """
    jumps = [slice_jumps(pred, truth, mask, axis) for axis in range(3)]
    flicker = {"slice_jumps": float(np.nanmax([*jumps, 0.0]))}
    if unit != HU:
        return flicker
    overlaps = {"bone_dice": bone_dice(pred, truth, mask), "air_dice": air_dice(pred, truth, mask)}
    return {**tissue_errors(pred, truth, mask), **overlaps, **outside_errors(pred, truth, mask), **flicker}

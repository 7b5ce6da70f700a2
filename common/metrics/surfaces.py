"""Distances between the surfaces of two masks."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from numpy.typing import ArrayLike

from .masked import Mask

PERCENTILE = 95


def hd95(predicted: Mask, real: Mask, spacing: ArrayLike) -> float:
    """95th percentile Hausdorff distance in mm: the larger of the percentiles of both directions.

    Infinite where one of the masks is empty, nan where both are.

    Args:
        predicted: (X, Y, Z).
        real: (X, Y, Z).
        spacing: voxel size in mm along X, Y and Z.
    """
    if not predicted.any() or not real.any():
        return float("inf" if predicted.any() or real.any() else "nan")
    ours, theirs = (torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (predicted, real))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distance = compute_hausdorff_distance(
            ours, theirs, include_background=True, percentile=PERCENTILE, spacing=np.asarray(spacing).tolist()
        )
    return float(distance)

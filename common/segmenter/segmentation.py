"""Segmentation of volumes slice by slice, and the overlap of masks and classes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn import functional as F

from .network import LEAST_SIDE
from .tissues import NAMES

AT_ONCE = 16
"""Slices in one pass."""
LEAST_VOXELS = 50
"""Of a class in the truth, below which its overlap is chance."""

Classes = NDArray[np.uint8]


def segmented(volume: ArrayLike, network: nn.Module) -> Classes:
    """Class of each voxel of a volume (X, Y, Z), its position in :data:`common.segmenter.NAMES`, slice by slice.

    The slices are those across the last axis.

    Args:
        volume: in HU or z-scores, as the network takes; each axis along one of the body.
        network: see :class:`common.segmenter.network.TissueSegmenter`, in evaluation mode.
    """
    slices = torch.from_numpy(np.asarray(volume, np.float32)).movedim(2, 0)[:, None]
    height, width = slices.shape[2:]
    edge = (0, max(0, LEAST_SIDE - width), 0, max(0, LEAST_SIDE - height))
    with torch.inference_mode():
        parts = (network(F.pad(part, edge, mode="replicate")) for part in slices.split(AT_ONCE))
        classes = torch.cat([part[:, :, :height, :width].argmax(dim=1).to(torch.uint8) for part in parts])
    return classes.movedim(0, 2).numpy()


def dice(predicted: NDArray[np.bool_], real: NDArray[np.bool_]) -> float:
    """Dice overlap in [0, 1] of two boolean arrays of one shape; nan where both are empty (Dice 1945)."""
    total = predicted.sum() + real.sum()
    return float(2 * (predicted & real).sum() / total) if total else float("nan")


def dice_by_class(predicted: Classes, real: Classes, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Dice overlap of each class inside the mask, by its name; nan where the truth has less than 50 voxels of it."""
    ours, theirs, count = predicted[mask].astype(int), real[mask].astype(int), len(NAMES)
    both = np.bincount(theirs * count + ours, minlength=count**2).reshape(count, count)
    sizes = both.sum(axis=1)
    overlaps = 2 * both.diagonal() / np.maximum(sizes + both.sum(axis=0), 1)
    return dict(zip(NAMES, np.where(sizes < LEAST_VOXELS, np.nan, overlaps).tolist(), strict=True))

"""Maps without a network, with which anomaly maps are compared; volumes are skull-stripped, their axes in RAS order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from common.data.datalist import Item
from common.transforms import head_mask, scale

logger = logging.getLogger(__name__)
Volume = NDArray[np.floating[Any]]
GRID = (48, 56, 44)
"""Voxels of the grid on which brains are compared, each scaled to fill it."""
LEAST_DEVIATION = 0.2
"""[chosen] smallest standard deviation over the training brains, in z, by which differences are divided."""


def brightness(source: Volume) -> Volume:
    """The source (X, Y, Z) as z-scores inside the brain, whose minimum is given to what lies outside."""
    return _standardised(source)[0]


def _standardised(source: Volume) -> tuple[Volume, NDArray[np.bool_]]:
    """The scores, and the mask of the brain."""
    brain = head_mask(source, None, axial=2, case="source")
    mean, deviation = scale(torch.from_numpy(source[brain].astype(np.float64)), "source")
    scores = (source - mean) / deviation
    return np.where(brain, scores, scores[brain].min()), brain


class TrainingMean:
    """Distance of each voxel from the mean over the training brains, in standard deviations over these.

    Brains are aligned by their bounding boxes alone. Those with lesions are left out; a warning where all have some.

    Args:
        data: items of training.
        load: reads ``image`` (1, X, Y, Z) of an item, its axes in RAS order.
    """

    def __init__(self, data: Sequence[Item], load: Callable[[Item], dict[str, Any]]) -> None:
        self.data = data
        self.load = load
        self._moments: tuple[Volume, Volume] | None = None

    def __call__(self, source: Volume) -> Volume:
        """The map (X, Y, Z), 0 outside the brain."""
        if self._moments is None:
            healthy = [item for item in self.data if "lesion" not in item]
            if not healthy:
                logger.warning("training_mean is of brains with lesions: every training case has a mask of them")
            brains = np.stack([_boxed(np.asarray(self.load(item)["image"][0]))[0] for item in healthy or self.data])
            self._moments = brains.mean(0), np.maximum(brains.std(0), LEAST_DEVIATION)
        (mean, deviation), (brain, box, inside) = self._moments, _boxed(source)
        made = np.zeros(source.shape)
        made[box] = _resized(np.abs(brain - mean) / deviation, made[box].shape)
        return np.where(inside, made, 0)


def _boxed(source: Volume) -> tuple[Volume, tuple[slice, ...], NDArray[np.bool_]]:
    """A brain on the common grid as z-scores, its bounding box and its mask on the grid of the source."""
    scores, inside = _standardised(source)
    box = tuple(slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(inside))
    return _resized(scores[box], GRID), box, inside


def _resized(volume: Volume, shape: tuple[int, ...]) -> Volume:
    given = torch.from_numpy(np.ascontiguousarray(volume, dtype=np.float64))[None, None]
    return np.asarray(F.interpolate(given, shape, mode="trilinear", align_corners=False)[0, 0])

"""Refusal of k-space that is sampled otherwise than that which the weights were judged on."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.stitching import plane_axis
from common.trust.source_limit import SourceLimit
from mri_dagan.unrolled import mask_of

ACCELERATIONS = "accelerations"
"""Key of the JSON file of weights: lowest and highest at which they beat compressed sensing, of one coil."""


class SamplingCheck(SourceLimit):
    """Refuses k-space of several coils, of no whole lines, or of other accelerations than the weights name.

    Args:
        weights: the file in use.
        plane: of the slices: ``sagittal``, ``coronal`` or ``axial``.
    """

    def __init__(self, weights: str, plane: str) -> None:
        super().__init__(weights, ACCELERATIONS, 2, "reconstruct it elsewhere, such as by compressed sensing")
        self.plane = plane

    def fault(self, image: NDArray[Any], _: Mapping[str, Any]) -> str | None:
        """That the channels of :func:`mri_dagan.kspace_scan.channels_of` hold other k-space."""
        low, high = self.limit
        coils, lines = (len(image) - 3) // 2, measured_lines(image, plane_axis(self.plane))
        if coils > 1:
            found = f"{coils} coils"
        elif lines is None:
            found = f"k-space without whole lines in {self.plane} slices"
        elif floor(lines.size / high) <= lines.sum() <= ceil(lines.size / low):
            return None
        else:
            found = f"{lines.sum()} of {lines.size} lines"
        return f"{found}, where these weights are for whole lines of one coil, {low:g} to {high:g} times undersampled"


def measured_lines(image: NDArray[Any], axis: int) -> NDArray[np.bool_] | None:
    """Which lines are measured in the middle slice of a scan (C, X, Y, Z); None where they are not whole."""
    middle = image.take(image.shape[axis + 1] // 2, axis + 1)
    shape = middle.shape[1:]
    point = torch.from_numpy((middle[1:].reshape(2, -1, *shape)[:, -1] + 1) / 2)
    mask = mask_of(point.movedim(0, -1)[None, None]).numpy().reshape(shape)
    for lines, others in ((mask[0], mask), (mask[:, 0], mask.T)):
        if lines.any() and (others == lines).all():
            return np.asarray(lines)
    return None

"""Head mask by threshold and connected components."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from scipy import ndimage

from ..errors import DataError

logger = logging.getLogger(__name__)
MASK = "mask"
"""Key of the mask, (1, X, Y, Z), 0 or 1."""
COUNTED_AT_ONCE = 2**22
"""Voxels; counting the sizes of regions takes 12 bytes for each."""


class HeadMaskd(MapTransform):
    """Add ``mask``, the head computed from the CT, to cases without a mask; an existing mask is binarised.

    The mask of :func:`head_mask` includes sinuses and mouth. Without any of the keys nothing is added.

    Args:
        keys: CT volumes, (1, X, Y, Z) in their unit, oriented RAS; the last existing one gives the mask.
        threshold: in the unit of the CT; air is below it.

    Raises:
        DataError: if no voxel is above the threshold.
    """

    def __init__(self, keys: KeysCollection, threshold: float = -500.0) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.threshold = threshold

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add or binarise the mask."""
        masked = dict(data)
        if MASK in masked:
            masked[MASK] = (masked[MASK] > 0).to(torch.float32)
            return masked
        for key in self.key_iterator(masked):
            target = masked[key]
            head = head_mask(np.asarray(target[0]), self.threshold, axial=2, case=str(data.get("case", "")))
            mask = torch.from_numpy(head.astype(np.float32))[None]
            masked[MASK] = convert_to_dst_type(mask, target)[0]
        return masked


def head_mask(target: np.ndarray, threshold: float | None, axial: int, case: str) -> np.ndarray:
    """The largest connected region above a threshold, with filled cavities in each axial slice.

    Args:
        target: (X, Y, Z) in its unit.
        threshold: in that unit; air is below it. None for the mean of the volume.
        axial: the axis perpendicular to axial slices.
        case: for messages.

    Raises:
        DataError: if no voxel is above the threshold.
    """
    threshold = float(target.mean()) if threshold is None else threshold
    above = target > threshold
    if not above.any():
        fault = (
            f"{case}: the volume has no voxel above the head's threshold {threshold} (its maximum is {target.max()})"
        )
        raise DataError(fault, "check the file, or change --head_threshold where there is one")
    if above.all():
        air = f"no air below the head's threshold {threshold:g} (its lowest value is {target.min():g})"
        remedy = "give a --head_threshold between air and skin, or mask files"
        logger.warning(f"{case}: the volume has {air}, and all of it is taken as head: {remedy}")
    regions, count = ndimage.label(above)
    del above
    sizes = np.zeros(count + 1, np.int64)
    for part in np.array_split(regions, math.ceil(regions.size / COUNTED_AT_ONCE)):
        sizes += np.bincount(part.ravel(), minlength=count + 1)
    head: np.ndarray = regions == sizes[1:].argmax() + 1
    del regions
    for part in np.moveaxis(head, axial, 0):
        part[:] = ndimage.binary_fill_holes(part)
    return head

"""The mask of a head, where a case has none."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from scipy import ndimage

from common.errors import DataError


class HeadMaskd(MapTransform):
    """Give every case a mask: the one it has, else the head found in its CT.

    See :func:`head_mask`; sinuses and mouth belong to it. Without any of the keys nothing is added.

    Args:
        keys: CT volumes, (1, X, Y, Z) in their unit, oriented RAS; the last one present gives the mask.
        threshold: in the target's unit; air lies below it.
        mask_key: where the mask is or goes, (1, X, Y, Z), 0 or 1.

    Raises:
        DataError: where nothing lies above the threshold.
    """

    def __init__(self, keys: KeysCollection, threshold: float = -500.0, mask_key: str = "mask") -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.threshold = threshold
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the mask where it is missing."""
        masked = dict(data)
        if self.mask_key in masked:
            masked[self.mask_key] = (masked[self.mask_key] > 0).to(torch.float32)
            return masked
        for key in self.key_iterator(masked):
            target = masked[key]
            head = head_mask(np.asarray(target[0]), self.threshold, axial=2, case=str(data.get("case", "")))
            mask = torch.from_numpy(head.astype(np.float32))[None]
            masked[self.mask_key] = convert_to_dst_type(mask, target)[0]
        return masked


def head_mask(target: np.ndarray, threshold: float | None, axial: int, case: str) -> np.ndarray:
    """The largest connected region above a threshold, cavities of each axial slice filled.

    Args:
        target: (X, Y, Z) in its unit.
        threshold: in that unit; air lies below it. None: the volume's mean.
        axial: the axis along which axial slices follow each other.
        case: for the error.

    Raises:
        DataError: where nothing lies above the threshold.
    """
    threshold = float(target.mean()) if threshold is None else threshold
    above = target > threshold
    if not above.any():
        raise DataError(
            f"{case}: target",
            f"has voxels above the head's threshold {threshold}",
            f"a maximum of {float(target.max())}",
            "check the file, or correct head_threshold where there is one",
        )
    regions, _ = ndimage.label(above)
    head = regions == np.bincount(regions[above]).argmax()
    slices = [ndimage.binary_fill_holes(part) for part in np.moveaxis(head, axial, 0)]
    return np.moveaxis(np.stack(slices), 0, axial)

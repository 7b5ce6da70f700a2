"""Z-score normalisation inside the head."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from torch import Tensor

from ..errors import ConfigError, DataError
from .head import head_mask

AT_ONCE = 2**24
"""Voxels whose moments are computed at once, with 64 bits."""


class StandardiseHeadd(MapTransform):
    """Normalise to mean 0 and standard deviation 1 over the head, or by a fixed scale, without clipping.

    The head is computed from the first channel of ``image``, both in training and inference: the largest region above
    the mean of the volume or a threshold, with filled cavities in each axial slice. Adds ``<key>_scale``, mean and
    standard deviation of the first channel, and the head as ``mask`` if the case has none.

    Args:
        keys: volumes (C, X, Y, Z), oriented RAS; each channel is normalised separately.
        background: value of every voxel outside the head; None keeps the z-scores. The air around a skull-stripped
            brain has a different z-score in every case, which a patch cannot reveal and which would dominate an L1 loss
            over patches.
        fixed: key -> (mean, deviation) in the unit of a volume whose numbers mean the same in every case, such as HU;
            it is normalised by these instead of its own.
        allow_missing_keys: skip absent keys.
        threshold: of the source, above which the head is; None for its mean.

    Raises:
        ConfigError: for a fixed scale that is not two finite numbers, the second positive.
        DataError: for a volume that is constant inside the head.
    """

    def __init__(
        self,
        keys: KeysCollection,
        background: float | None = None,
        fixed: Mapping[str, Sequence[float]] | None = None,
        allow_missing_keys: bool = False,
        threshold: float | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.threshold = threshold
        self.background = background
        self.fixed = {key: _fixed_scale(key, values) for key, values in (fixed or {}).items()}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Normalise the volumes."""
        scaled = dict(data)
        case = str(data.get("case", ""))
        source = np.asarray(data["image"][0])
        head = torch.from_numpy(head_mask(source, self.threshold, axial=2, case=case))
        if "mask" in scaled:
            scaled["mask"] = (scaled["mask"] > 0).to(torch.float32)
        else:
            scaled["mask"] = convert_to_dst_type(head[None], data["image"], dtype=torch.float32)[0]
        for key in self.key_iterator(scaled):
            channels = torch.as_tensor(scaled[key])
            known = self.fixed.get(str(key))
            scales = [known or scale(channel[head], f"{case}: {key}") for channel in channels]
            mean, deviation = (torch.tensor(part)[:, None, None, None] for part in zip(*scales, strict=True))
            scaled[key] = (scaled[key] - mean).div_(deviation).to(torch.float32)
            if self.background is not None:
                scaled[key][:, ~head] = self.background
            scaled[f"{key}_scale"] = torch.tensor(scales[0])
        return scaled


def scale(values: Tensor, name: str) -> tuple[float, float]:
    """Mean and standard deviation of values inside the head.

    Raises:
        DataError: for constant values.
    """
    parts = [(len(part), *_moments(part)) for part in values.split(AT_ONCE)]
    mean, deviation = parts[0][1:]
    if len(parts) > 1:
        count = len(values)
        mean = sum(n * part for n, part, _ in parts) / count
        squares = sum((n - 1) * spread**2 + n * (part - mean) ** 2 for n, part, spread in parts if n > 1)
        deviation = math.sqrt(squares / (count - 1))
    if not deviation > 0:
        raise DataError(f"{name} is {mean:g} everywhere inside the head, and cannot be standardised", "check the file")
    return mean, deviation


def _moments(values: Tensor) -> tuple[float, float]:
    doubled = values.double()
    return float(doubled.mean()), float(doubled.std())


def _fixed_scale(key: str, values: Sequence[float]) -> tuple[float, float]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 2 or not np.isfinite(numbers).all() or numbers[1] <= 0:
        fault = f"fixed scale of {key} is {list(values)}, not a mean and a positive deviation"
        raise ConfigError(fault, "give them in the unit of the volume, for example [0, 500]")
    return numbers[0], numbers[1]

"""One scale for source and target: a percentile of the source inside the head."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data.utils import affine_to_spacing
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_dst_type

from ..errors import ConfigError, DataError
from ..io.modality import IN_HU, SOURCE_MODALITY, modality_of
from .head import head_mask
from .subject import subject_in, with_dark_padding

LOWEST = -0.25
"""Lowest value of a magnitude relative to its percentile; resampling may leave some below 0, phase has as much below
as above."""


class ScaleBySourced(MapTransform, InvertibleTransform):
    """Divide volumes by one number, the percentile of the source inside the head; ``Invertd`` multiplies by it.

    Source and target of a restored MR share the scanner's arbitrary unit, in which the result is to be: each by its own
    number would lose the relation between them. The head is computed from the first channel of ``image``, both in
    training and inference: the largest region above the mean of the subject's box, with filled cavities in each axial
    slice. Nothing is clipped. Adds the head as ``mask`` if the case has none; an existing mask is binarised.

    Args:
        keys: volumes (C, X, Y, Z), oriented RAS; absent keys are skipped.
        percentile: of the source inside the head, in percent.

    Raises:
        ConfigError: the percentile is not above 0 and at most 100.
        DataError: for a source that is not above 0 there, or no magnitude: with values far below 0, as phase has.
    """

    def __init__(self, keys: KeysCollection, percentile: float = 99.5) -> None:
        super().__init__(keys, allow_missing_keys=True)
        if not 0 < percentile <= 100:
            fault = f"--scale_percentile is {percentile}, not above 0 and at most 100"
            raise ConfigError(fault, "pass a number such as 99.5")
        self.percentile = percentile

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Scale the volumes."""
        scaled = dict(data)
        case, source = str(data.get("case", "")), np.asarray(data["image"][0])
        box, _, _ = subject_in(with_dark_padding(source), affine_to_spacing(data["image"].affine).numpy(), 0.0)
        head = head_mask(source, float(source[box].mean()), axial=2, case=case)
        number = source_scale(source, head, self.percentile, f"{case}: image")
        if SOURCE_MODALITY not in data or modality_of(source) != IN_HU:  # an inference refuses a CT as such
            require_magnitude(source, number, f"{case}: image")
        if "mask" in scaled:
            scaled["mask"] = (scaled["mask"] > 0).to(torch.float32)
        else:
            own = torch.from_numpy(head.astype(np.float32))[None]
            scaled["mask"] = convert_to_dst_type(own, data["image"])[0]
        for key in self.key_iterator(scaled):
            volume = scaled[key].to(torch.float32) / number
            scaled[key] = self.push_transform(volume, extra_info={"number": number})  # type: ignore[no-untyped-call]
        return scaled

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Volumes in the unit of the source again."""
        restored = dict(data)
        for key in self.key_iterator(restored):
            number = self.pop_transform(restored[key])[TraceKeys.EXTRA_INFO]["number"]
            restored[key] = restored[key] * number
        return restored


def source_scale(source: np.ndarray, head: np.ndarray, percentile: float, name: str) -> float:
    """The percentile of a magnitude (X, Y, Z) inside the head.

    Args:
        source: in any unit.
        head: its mask.
        percentile: in percent.
        name: of the source, for messages.

    Raises:
        DataError: it is not above 0.
    """
    number = float(np.percentile(source[head], percentile))
    if not number > 0:
        fault = f"{name} has a {percentile:g}th percentile of {number:g} inside the head, not above 0"
        raise DataError(fault, "check the file")
    return number


def require_magnitude(source: np.ndarray, number: float, name: str) -> None:
    """Refuse a source (X, Y, Z) whose lowest values are far below 0, relative to its :func:`source_scale`.

    Raises:
        DataError: for such values.
    """
    lowest = float(source.min())
    if lowest < LOWEST * number:
        fault = f"{name} is not a magnitude image (values down to {lowest:g}, bright tissue {number:g})"
        raise DataError(fault, "pass the magnitude image, not the phase or the real part")

"""Pictures prepared: the luminance of colour, and a mask of every pixel."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..io.picture_files import LUMINANCE
from .head import MASK


class Greyd(MapTransform):
    """Replace pictures in colour by their luminance, ``common.io.picture_files.LUMINANCE``; grey ones stay.

    Args:
        keys: pictures (1, X, Y, Z) or (3, X, Y, Z), in any scale that is linear in the levels.
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys, allow_missing_keys=True)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Convert the pictures."""
        made = dict(data)
        for key in self.key_iterator(made):
            if len(made[key]) == len(LUMINANCE):
                made[key] = sum(weight * made[key][[place]] for place, weight in enumerate(LUMINANCE))
        return made

    def channels_after(self, channels: int) -> int:
        """Channels of a picture with so many, by which an inference plans its memory."""
        return 1 if channels == len(LUMINANCE) else channels


class WholeMaskd(MapTransform):
    """Add ``mask`` (1, X, Y, Z), 1 everywhere, to cases without one; an existing mask is binarised.

    Args:
        keys: pictures; the first existing one gives the grid, without any nothing is added.
    """

    def __init__(self, keys: KeysCollection) -> None:
        super().__init__(keys, allow_missing_keys=True)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add or binarise the mask."""
        made = dict(data)
        for key in self.key_iterator(made):
            made.setdefault(MASK, torch.ones_like(made[key][:1]))
        if MASK in made:
            made[MASK] = (made[MASK] > 0).to(torch.float32)
        return made

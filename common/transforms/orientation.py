"""Orientation of volumes with several channels, one channel at a time."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping
from typing import Any

from monai.data import MetaTensor
from monai.transforms import Orientationd


class OrientationByChanneld(Orientationd):
    """MONAI's ``Orientationd``, which needs the memory of one channel besides that of the volume instead of all.

    The channels of a contiguous ``MetaTensor`` (C, X, Y, Z) are turned in its own memory; others are as in
    ``Orientationd``. It takes the arguments of that class, and is inverted likewise.
    """

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        """Turn the volumes."""
        if self.lazy if lazy is None else lazy:
            return dict(super().__call__(data, lazy))
        turned = dict(data)
        for key in self.key_iterator(turned):
            volume = turned[key]
            if not isinstance(volume, MetaTensor) or len(volume) == 1 or not volume.is_contiguous():
                turned[key] = self.ornt_transform(volume)
                continue
            made = [self._turned_in_place(volume, number) for number in range(len(volume))]
            whole = volume.as_tensor().view(len(volume), *made[0].shape[1:])
            turned[key] = MetaTensor(whole, meta=made[0].meta, applied_operations=made[0].applied_operations)
        return turned

    def _turned_in_place(self, volume: MetaTensor, number: int) -> MetaTensor:
        """A channel (1, X', Y', Z') with its new geometry; its values are where those of ``volume`` were."""
        values, history = volume.as_tensor()[number : number + 1], list(volume.applied_operations)
        channel = MetaTensor(values, meta=copy.deepcopy(volume.meta), applied_operations=history)
        one: Any = self.ornt_transform(channel)
        place = values.view(one.shape)
        place.copy_(one.as_tensor().clone() if one.data_ptr() == place.data_ptr() else one.as_tensor())
        return MetaTensor(place, meta=one.meta, applied_operations=one.applied_operations)

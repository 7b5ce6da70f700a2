"""Orientation of volumes in their own memory, and a network's output on the grid of its source without copies."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, InvertibleTransform, Orientationd
from nibabel.orientations import io_orientation
from torch import Tensor


class OrientationByChanneld(Orientationd):
    """MONAI's ``Orientationd``, which turns the channels of a contiguous volume in its own memory.

    It needs that of one channel besides where axes are exchanged, of one plane where they are only reversed. It takes
    the arguments of that class, and is inverted likewise.
    """

    def __call__(self, data: Mapping[Hashable, Any], lazy: bool | None = None) -> dict[Hashable, Any]:
        """Turn the volumes."""
        if self.lazy if lazy is None else lazy:
            return dict(super().__call__(data, lazy))
        turned = dict(data)
        for key in self.key_iterator(turned):
            turned[key] = turned_in_place(turned[key], self.ornt_transform)
        return turned


class InvertInPlaced(Invertd):
    """MONAI's ``Invertd`` for a prediction that nothing needs afterwards: its axes are turned back in its own memory.

    It takes the arguments of that class; ``transform`` is a ``Compose``.
    """

    def __init__(self, keys: KeysCollection, transform: Compose, **settings: Any) -> None:
        super().__init__(keys, _TurningInPlace(transform.transforms), **settings)


class _TurningInPlace(Compose):
    """A preprocessing whose inverse turns volumes in their own memory."""

    def inverse(self, data: Any) -> Any:
        """The volumes of a dictionary before the preprocessing."""
        for step in reversed(self.transforms):
            if isinstance(step, Orientationd):
                data = dict(data)
                for key in step.key_iterator(data):
                    data[key] = turned_in_place(data[key], step.ornt_transform.inverse)
            elif isinstance(step, InvertibleTransform):
                data = step.inverse(data)
        return data


def turned_in_place(volume: Any, turn: Callable[[Any], Any]) -> Any:
    """What a turn makes of a volume, in the memory of the volume where it fills that, as slices put together do.

    Args:
        volume: (C, X, Y, Z); another than a ``MetaTensor`` is turned as ever.
        turn: MONAI's ``Orientation`` or its inverse.
    """
    if not isinstance(volume, MetaTensor) or volume.ndim != 4 or not _is_dense(volume):
        return turn(volume)
    shell = MetaTensor(torch.empty(volume.shape, device="meta"), meta=volume.meta)
    shell.applied_operations = volume.applied_operations
    before = np.asarray(volume.affine, float)
    made = turn(shell)
    axes, directions = io_orientation(np.linalg.inv(np.asarray(made.affine, float)) @ before).T.astype(int)
    values = volume.as_tensor()
    _reverse(values, [axis for axis, direction in enumerate(directions) if direction < 0])
    order = [0, *(1 + np.argsort(axes)).tolist()]
    if len(values) > 1 and order != [0, 1, 2, 3] and values.is_contiguous():  # which it stays
        for channel in values:
            channel.view(made.shape[1:]).copy_(channel.clone().permute([n - 1 for n in order[1:]]))
        values = values.view(made.shape)
    else:
        values = values.permute(order)
    return MetaTensor(values, meta=made.meta, applied_operations=made.applied_operations)


def _reverse(values: Tensor, axes: Sequence[int]) -> None:
    """Reverse spatial axes of a volume (C, X, Y, Z) in place, a plane at a time."""
    if not axes:
        return
    within = [axis - 1 for axis in axes if axis]
    for channel in values:
        last = len(channel) - 1
        for number, plane in enumerate(channel[: last // 2 + 1] if 0 in axes else channel):
            other = channel[last - number] if 0 in axes else plane
            turned = plane.flip(within)
            plane.copy_(other.flip(within))
            if other is not plane:
                other.copy_(turned)


def _is_dense(volume: Tensor) -> bool:
    """Whether a volume is all of its memory, and no part or repetition of it."""
    return bool(volume.untyped_storage().nbytes() == volume.numel() * volume.element_size())

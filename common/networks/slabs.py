"""Slabs: slices with their neighbours as channels, and 2-D networks of slabs as networks of volumes (2.5-D)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ConfigError


def odd_neighbours(neighbours: int) -> int:
    """The number of slices in a slab, checked to be odd so that there is a central one.

    Raises:
        ConfigError: for a number that is even or not positive.
    """
    if neighbours < 1 or neighbours % 2 == 0:
        raise ConfigError(f"--neighbours is {neighbours}, not odd and positive", "pass an odd number such as 3")
    return neighbours


def slabs(volume: Tensor, axis: int, neighbours: int, centres: range) -> Tensor:
    """Slices with their neighbours as channels; beyond the ends the outermost slice is repeated.

    Args:
        volume: (C, X, Y, Z).
        axis: spatial axis of the slices, 0 to 2.
        neighbours: slices in a slab, odd; 1 is the slice alone.
        centres: the central slices.

    Returns:
        (len(centres), C * neighbours, H, W); channel ``c * neighbours + k`` is channel c of slice
        ``centre + k - neighbours // 2``.
    """
    slices = volume.movedim(axis + 1, 0)
    offsets = torch.arange(neighbours, device=volume.device) - neighbours // 2
    wanted = torch.arange(centres.start, centres.stop, centres.step, device=volume.device)[:, None] + offsets
    return slices[wanted.clamp(0, len(slices) - 1)].transpose(1, 2).flatten(1, 2)


def on_slabs(network: nn.Module, x: Tensor, neighbours: int) -> Tensor | list[Tensor]:
    """A 2-D network applied to every axial slab of volumes; each output slice sees that slab alone.

    Args:
        network: (N, C * neighbours, H, W) -> (N, C', H', W'), or a list of such.
        x: (B, C, X, Y, Z).
        neighbours: slices in a slab, odd.

    Returns:
        (B, C', X', Y', Z), or a list of such.
    """
    count = x.shape[-1]
    made = network(torch.cat([slabs(volume, 2, neighbours, range(count)) for volume in x]))
    levels = made if isinstance(made, list) else [made]
    volumes = [level.unflatten(0, (len(x), count)).movedim(1, -1) for level in levels]
    return volumes if isinstance(made, list) else volumes[0]

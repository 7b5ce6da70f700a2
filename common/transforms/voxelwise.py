"""Functions of single voxels applied to a volume part by part, so that their intermediate results stay small."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

SLAB_VOXELS = 2**22
"""Voxels at a time; 16 MiB as float32."""


def for_each_slab(function: Callable[[Tensor], Tensor], values: Tensor, made: Tensor) -> Tensor:
    """Apply a function of single voxels; the result is that of one call on the whole volume.

    Args:
        function: maps a tensor to one of the same shape, each element by itself.
        values: of any shape.
        made: of the same shape, receives the results; it may be ``values`` itself.

    Returns:
        ``made``.
    """
    if values.ndim < 2 or values.numel() <= SLAB_VOXELS:
        made.copy_(function(values))
    elif len(values) == 1 or values[0].numel() > SLAB_VOXELS:
        for part, result in zip(values, made, strict=True):
            for_each_slab(function, part, result)
    else:
        step = SLAB_VOXELS // values[0].numel()
        for part, result in zip(values.split(step), made.split(step), strict=True):
            result.copy_(function(part))
    return made

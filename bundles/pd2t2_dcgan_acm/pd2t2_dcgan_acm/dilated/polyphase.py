"""Dilated 3-D convolutions as dense convolutions on interleaved grids."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def to_phases(volume: Tensor, dilation: int) -> Tensor:
    """Interleaved grids (d^3) of a volume as a batch: (B, C, X, Y, Z) -> (B d^3, C, X / d, Y / d, Z / d).

    The sides are multiples of the dilation.
    """
    batch, channels, *sides = volume.shape
    x, y, z = (side // dilation for side in sides)
    split = volume.reshape(batch, channels, x, dilation, y, dilation, z, dilation)
    return split.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(-1, channels, x, y, z)


def from_phases(grids: Tensor, dilation: int) -> Tensor:
    """Inverse of :func:`to_phases`."""
    count, channels, x, y, z = grids.shape
    split = grids.reshape(count // dilation**3, dilation, dilation, dilation, channels, x, y, z)
    return split.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(-1, channels, x * dilation, y * dilation, z * dilation)


def polyphase_conv3d(volume: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """Size-preserving dilated convolution, (B, C, X, Y, Z) -> (B, C', X, Y, Z), with the same sums.

    For training on CPUs, where the gradient of a dilated kernel has no fast implementation.

    Args:
        volume: padded with zeros.
        weight: (C', C, kx, ky, kz), odd sides.
        bias: (C',) or None.
        dilation: the same along all axes.
    """
    x, y, z = volume.shape[2:]
    whole = F.pad(volume, (0, -z % dilation, 0, -y % dilation, 0, -x % dilation))
    padding = [side // 2 for side in weight.shape[2:]]
    grids = F.conv3d(to_phases(whole, dilation), weight, bias, padding=padding)
    return from_phases(grids, dilation)[:, :, :x, :y, :z]

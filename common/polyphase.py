"""Dilated 3-D convolutions as dense ones on interleaved grids."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_phases(volume: Tensor, dilation: int) -> Tensor:
    """The d^3 interleaved grids of a volume as a batch: (B, C, X, Y, Z) -> (B d^3, C, X / d, Y / d, Z / d).

    The sides are multiples of the dilation.
    """
    batch, channels, *sides = volume.shape
    x, y, z = (side // dilation for side in sides)
    split = volume.reshape(batch, channels, x, dilation, y, dilation, z, dilation)
    return split.permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(-1, channels, x, y, z)


def from_phases(grids: Tensor, dilation: int) -> Tensor:
    """The inverse of :func:`to_phases`."""
    count, channels, x, y, z = grids.shape
    split = grids.reshape(count // dilation**3, dilation, dilation, dilation, channels, x, y, z)
    return split.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(-1, channels, x * dilation, y * dilation, z * dilation)


class PolyphaseConv3d(nn.Conv3d):
    """``nn.Conv3d`` that trains a dilated kernel as a dense one on interleaved grids: the same sums, the same weights.

    The gradient of a dilated kernel has no fast implementation on CPUs: at 16 channels and 24^3 voxels a kernel of 9^3
    dilated by two took 10 to 40 times as long. In evaluation it is the plain convolution.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, C, X, Y, Z)."""
        if not torch.jit.is_scripting():  # noqa: SIM102 - a script leaves this branch out as a whole
            if self.training and self._suited():
                return self._by_phases(input)
        return self._conv_forward(input, self.weight, self.bias)

    def _by_phases(self, volume: Tensor) -> Tensor:
        dilation = self.dilation[0]
        x, y, z = volume.shape[2:]
        whole = F.pad(volume, (0, -z % dilation, 0, -y % dilation, 0, -x % dilation))
        padding = [kernel // 2 for kernel in self.kernel_size]
        grids = F.conv3d(to_phases(whole, dilation), self.weight, self.bias, padding=padding)
        return from_phases(grids, dilation)[:, :, :x, :y, :z]

    def _suited(self) -> bool:
        """Whether the kernel is dilated alike on all axes and the size is kept."""
        same = all(p == k // 2 * d for p, k, d in zip(self.padding, self.kernel_size, self.dilation, strict=False))
        odd = all(k % 2 for k in self.kernel_size)
        plain = self.stride == (1, 1, 1) and self.groups == 1 and self.padding_mode == "zeros"
        return same and odd and plain and self.dilation[0] > 1 and len(set(self.dilation)) == 1

"""Large dilated 3-D convolutions in training: dense kernels on interleaved grids, the largest through their spectra."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SPECTRAL_KERNEL = 7
"""Sides from which spectra are faster on a CPU: a kernel of 3^3 is not."""


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


def circular_conv3d(volume: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (B, C, X, Y, Z) with zeros around it -> (B, C', X, Y, Z) by a product of spectra; differentiable.

    Behind the volume stand as many zeros as the kernel reaches to one side, and serve both ends: what wraps around in
    the circular convolution is zero, or cut off. Agrees with the direct sums to 1e-5.

    Args:
        volume: float32.
        weight: (C', C, kx, ky, kz), odd sides.
        bias: (C',) or None.
    """
    reach = [side // 2 for side in weight.shape[2:]]
    size = [side + more for side, more in zip(volume.shape[2:], reach, strict=True)]
    tails = [(0, n - k) for n, k in zip(size, weight.shape[2:], strict=True)]
    kernel = F.pad(weight.flip(2, 3, 4), [amount for tail in reversed(tails) for amount in tail])
    kernel = kernel.roll([-amount for amount in reach], (2, 3, 4))
    axes = (2, 3, 4)
    given, wanted = torch.fft.rfftn(volume, size, axes), torch.fft.rfftn(kernel, size, axes)
    products = _complex_products(given.flatten(2).permute(2, 0, 1), wanted.flatten(2).permute(2, 1, 0))
    made = torch.fft.irfftn(products.permute(1, 2, 0).unflatten(2, given.shape[2:]), size, axes)
    x, y, z = volume.shape[2:]
    made = made[:, :, :x, :y, :z]
    return made if bias is None else made + bias[:, None, None, None]


def _complex_products(left: Tensor, right: Tensor) -> Tensor:
    """(F, B, C) by (F, C, C') complex matrices as real ones of twice the sides: those have a fast batched gradient."""
    pairs = torch.view_as_real(left.contiguous()).flatten(2)
    right = right.contiguous()
    blocks = torch.stack([torch.view_as_real(right), torch.view_as_real(right * 1j)], dim=2)
    products = torch.bmm(pairs, blocks.flatten(3).flatten(1, 2))
    return torch.view_as_complex(products.unflatten(2, (-1, 2)))


class PolyphaseConv3d(nn.Conv3d):
    """``nn.Conv3d`` that trains a dilated kernel as a dense one on interleaved grids: the same sums, the same weights.

    The gradient of a dilated kernel has no fast implementation on CPUs. With 16 channels, 4 x 24^3 voxels and a kernel
    of 9^3 dilated by two, one core takes 3 s for a step, 0.65 s on the grids and 0.14 s through spectra, which are used
    from ``SPECTRAL_KERNEL`` on. In evaluation it is the plain convolution.
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
        return from_phases(self._dense(to_phases(whole, dilation)), dilation)[:, :, :x, :y, :z]

    def _dense(self, grids: Tensor) -> Tensor:
        spectral = min(self.kernel_size) >= SPECTRAL_KERNEL and grids.device.type == "cpu"
        if spectral and grids.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
            return circular_conv3d(grids, self.weight, self.bias)
        return F.conv3d(grids, self.weight, self.bias, padding=[kernel // 2 for kernel in self.kernel_size])

    def _suited(self) -> bool:
        """Whether the size is kept, and the kernel dilated alike on all axes."""
        same = all(p == k // 2 * d for p, k, d in zip(self.padding, self.kernel_size, self.dilation, strict=False))
        odd = all(k % 2 for k in self.kernel_size)
        plain = self.stride == (1, 1, 1) and self.groups == 1 and self.padding_mode == "zeros"
        return same and odd and plain and len(set(self.dilation)) == 1

"""Stitching of 3-D patches: time compared with MONAI's sliding window."""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.inferers import SlidingWindowInferer
from pd2t2_dcgan_acm.dilated.spectral import SpectralConv3d
from torch import Tensor, nn

from common.devices import single_device
from common.stitching import PatchStitchingInferer
from tools.bench.clock import Timing, alternate

KERNELS = (9, 3, 3, 3, 9, 3, 3, 7, 3)
FILTERS = (32, 32, 32, 64, 64, 64, 32, 32)
CUBE = (64, 64, 64)


def generator(convolution: type[nn.Conv3d]) -> nn.Sequential:
    """The generator of Nie et al. 2018 with random weights in eval mode."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 1
    for number, (kernel, filters) in enumerate(zip(KERNELS, (*FILTERS, 1), strict=True)):
        dilation = 2 if 0 < number < 8 else 1
        layers.append(convolution(channels, filters, kernel, dilation=dilation, padding=kernel // 2 * dilation))
        if number < 8:
            layers += [nn.BatchNorm3d(filters), nn.LeakyReLU(0.2)]
        channels = filters
    return nn.Sequential(*layers).eval()


def compare(name: str, old: Callable[[], Tensor], new: Callable[[], Tensor]) -> Timing:
    """Seconds of both, and the largest difference relative to the largest value."""
    (before, after), (expected, result) = alternate([old, new], 1)
    difference = float((result - expected).abs().max() / expected.abs().max())
    return Timing(name, before, after, f"difference {difference:.1e}")


def against_monai(shape: tuple[int, int, int], stride: int, batch_size: int) -> Timing:
    """MONAI one patch at a time against mode faithful."""
    volume = torch.randn(1, 1, *shape, device=single_device())
    old, new = generator(nn.Conv3d).to(volume.device), generator(SpectralConv3d).to(volume.device)
    monai = SlidingWindowInferer((32, 32, 32), 1, 1 - stride / 32)
    faithful = PatchStitchingInferer(stride=stride, batch_size=batch_size, progress=False)
    name = f"{'x'.join(map(str, shape))}, {len(faithful.windows(shape))} windows: MONAI, faithful"
    return compare(name, lambda: monai(volume, old), lambda: faithful(volume, new))  # type: ignore


def modes(shape: tuple[int, int, int], stride: int, batch_size: int) -> Timing:
    """Mode faithful against mode fast."""
    volume = torch.randn(1, 1, *shape, device=single_device())
    network = generator(SpectralConv3d).to(volume.device)
    faithful = PatchStitchingInferer(stride=stride, batch_size=batch_size, progress=False)
    fast = PatchStitchingInferer(mode="fast", progress=False)
    name = f"{'x'.join(map(str, shape))}, {len(faithful.windows(shape))} windows: faithful, fast"
    return compare(name, lambda: faithful(volume, network), lambda: fast(volume, network))

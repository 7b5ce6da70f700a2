"""Tiling plan of a 3-D convolution in the frequency domain, chosen by its estimated cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

SPECTRUM_BYTES = 2**28
"""Largest memory of the spectrum of one layer's weight, which limits the size of the tiles."""
RATE = 5.0
"""Factor by which a plan must reduce the arithmetic to be used: on CPUs small complex products run 3 to 4 times slower
than direct convolutions per operation, and small gains do not justify the memory of a spectrum."""

Sizes = tuple[int, int, int]


class Window(NamedTuple):
    """One tile on one axis: voxels read, their place in the tile, voxels written, and the part of the tile kept."""

    read: slice
    place: slice
    write: slice
    kept: slice


@dataclass(frozen=True)
class Axis:
    """Tiling of one axis of each interleaved grid.

    A single tile is padded by ``reach`` zeros at its end, which suffice for both ends of the circular convolution. With
    several tiles each reads the samples of its neighbours instead (overlap-save).

    Args:
        length: voxels of the volume.
        dilation: number of interleaved grids.
        reach: samples of the kernel to either side, k // 2.
        tiles: number of tiles of each grid.
    """

    length: int
    dilation: int
    reach: int
    tiles: int

    @cached_property
    def step(self) -> int:
        """Outputs of a tile."""
        return math.ceil(math.ceil(self.length / self.dilation) / self.tiles)

    @cached_property
    def lead(self) -> int:
        """Samples that a tile reads before its first output."""
        return self.reach if self.tiles > 1 else 0

    @cached_property
    def taken(self) -> int:
        """Samples that a tile reads."""
        return self.step + 2 * self.lead

    @cached_property
    def size(self) -> int:
        """Length of the Fourier transform."""
        return self.taken if self.tiles > 1 else self.step + self.reach

    def windows(self) -> Iterator[Window]:
        """The tiles of all interleaved grids; together they write each voxel once."""
        for phase, tile in itertools.product(range(min(self.dilation, self.length)), range(self.tiles)):
            count = math.ceil((self.length - phase) / self.dilation)
            first, start = tile * self.step - self.lead, tile * self.step
            low, high, stop = max(first, 0), min(first + self.taken, count), min(start + self.step, count)
            if start < stop:
                read, write = self._voxels(phase, low, high), self._voxels(phase, start, stop)
                yield Window(read, slice(low - first, high - first), write, slice(stop - start))

    def _voxels(self, phase: int, start: int, stop: int) -> slice:
        return slice(phase + self.dilation * start, phase + self.dilation * (stop - 1) + 1, self.dilation)


@dataclass(frozen=True)
class DilationPlan:
    """Tiles of a convolution and their cost; the transform along x keeps the frequencies from 0 to size // 2."""

    axes: tuple[Axis, Axis, Axis]
    in_channels: int
    out_channels: int

    @cached_property
    def frequencies(self) -> Sizes:
        """Frequencies kept on each axis; half of those along x, since the volume is real."""
        x, y, z = (axis.size for axis in self.axes)
        return (x // 2 + 1, y, z)

    @property
    def spectrum_bytes(self) -> int:
        """Memory of the weight's spectrum."""
        return 8 * math.prod(self.frequencies) * self.in_channels * self.out_channels

    @property
    def tile_bytes(self) -> int:
        """Memory of one tile during processing: spectra before and after the product, and one stage of a transform."""
        return 8 * math.prod(self.frequencies) * (self.in_channels + self.out_channels) * 3 // 2

    @cached_property
    def operations(self) -> int:
        """Real operations per volume."""
        (fx, fy, fz), (x, y, z) = self.frequencies, self.axes
        forward = fx * (x.taken * y.taken * z.taken + fy * y.taken * z.taken + fy * fz * z.taken)
        inverse = fx * (x.step * y.step * z.step + fy * y.step * z.step + fy * fz * z.step)
        product = fx * fy * fz * self.in_channels * self.out_channels
        tiles = math.prod(axis.tiles * axis.dilation for axis in self.axes)
        return 8 * tiles * (product + forward * self.in_channels + inverse * self.out_channels)


@lru_cache(maxsize=256)
def best_plan(
    lengths: Sizes, kernel: Sizes, dilation: Sizes, in_channels: int, out_channels: int
) -> DilationPlan | None:
    """The cheapest plan whose spectrum fits SPECTRUM_BYTES; None where a direct convolution is faster."""
    direct = 2 * in_channels * out_channels * math.prod(kernel) * math.prod(lengths)
    plans = []
    for longest in range(max(kernel), max(n // d + k for n, k, d in zip(lengths, kernel, dilation, strict=True)) + 1):
        axes = tuple(_axis(n, d, k // 2, longest) for n, k, d in zip(lengths, kernel, dilation, strict=True))
        plans.append(DilationPlan(axes, in_channels, out_channels))  # type: ignore[arg-type]
    fitting = [plan for plan in plans if plan.spectrum_bytes <= SPECTRUM_BYTES]
    best = min(fitting, key=lambda plan: plan.operations, default=None)
    return best if best is not None and best.operations * RATE < direct else None


def _axis(length: int, dilation: int, reach: int, longest: int) -> Axis:
    samples = math.ceil(length / dilation)
    if samples + reach <= longest:
        return Axis(length, dilation, reach, 1)
    return Axis(length, dilation, reach, max(2, math.ceil(samples / (longest - 2 * reach))))

"""Sliced Wasserstein distance of two sets of images at each scale of their Laplacian pyramids (Karras et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError

COARSEST = 16
"""Pixels a side of the last level of a pyramid."""
SIDE, PLACES, DIRECTIONS = 7, 128, 512
"""Pixels a side of descriptors, their number in an image, and projections."""
TAPS = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def sliced_wasserstein(made: Tensor, real: Tensor, seed: int = 0) -> dict[str, float]:
    """``swd_<side>`` of each level, by its pixels a side, times 1000 as published; not 0 for images of one kind.

    Descriptors are 7 x 7 pixels at random places of a level, each channel then of mean 0 and deviation 1. Distances
    are mean absolute differences of their sorted projections onto random directions (section 5 and appendix G).

    Args:
        made: images (N, C, H, H), H 16 times a power of 2.
        real: (M, C, H, H); of the larger set the first images are taken.
        seed: of places and directions.

    Raises:
        DataError: the images differ in shape.
    """
    if made.shape[1:] != real.shape[1:]:
        fault = (
            f"the sliced Wasserstein distance compares images of {tuple(made.shape[1:])} and {tuple(real.shape[1:])}"
        )
        raise DataError(fault, "give images of one size")
    count = min(len(made), len(real))
    generator = torch.Generator().manual_seed(seed)
    distances = {}
    for one, other in zip(laplacian_pyramid(made[:count]), laplacian_pyramid(real[:count]), strict=True):
        sets = [_descriptors(level, generator) for level in (one, other)]
        directions = torch.randn(sets[0].shape[1], DIRECTIONS, generator=generator)
        directions /= directions.norm(dim=0)
        ours, theirs = ((each @ directions).sort(dim=0).values for each in sets)
        distances[f"swd_{one.shape[-1]}"] = 1e3 * float((ours - theirs).abs().mean())
    return distances


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """Differences of images (N, C, H, H) from their smoothed selves, the finest first; last a smoothed image of 16."""
    levels = []
    while images.shape[-1] > COARSEST:
        coarse = _smoothed(images, 1)[:, :, ::2, ::2]
        spread = torch.zeros_like(images)
        spread[:, :, ::2, ::2] = coarse
        levels.append(images - _smoothed(spread, 4))
        images = coarse
    return [*levels, images]


def _smoothed(images: Tensor, gain: float) -> Tensor:
    kernel = (gain * TAPS[:, None] * TAPS).to(images).expand(images.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, groups=images.shape[1])


def _descriptors(level: Tensor, generator: torch.Generator) -> Tensor:
    """(N * PLACES, C * SIDE^2)."""
    count, channels, side = level.shape[:3]
    start = torch.randint(side - SIDE + 1, (2, count * PLACES, 1, 1), generator=generator)
    rows, columns = start[0] + torch.arange(SIDE)[:, None], start[1] + torch.arange(SIDE)
    image = torch.arange(count).repeat_interleave(PLACES)[:, None, None]
    cut = level[image, :, rows, columns].movedim(-1, 1).reshape(len(image), channels, -1)
    cut = cut - cut.mean(dim=(0, 2), keepdim=True)
    return (cut / cut.std(dim=(0, 2), keepdim=True).clamp(min=1e-8)).flatten(1)

"""Regions, cavities, distances and the outline of a body as TorchScript, which has no scipy.

Each function gives what ``scipy.ndimage`` and :mod:`common.transforms.body` give. Volumes are (X, Y, Z). Constants are
defaults of arguments, since TorchScript sees no globals.
"""

import math

import torch
from torch import Tensor

from common.transforms import body

REACH_MM = 8.0
"""Distances are exact up to here. The outline needs those around 3 mm, between voxels that are closer than this."""


def spread(labels: Tensor, inside: Tensor, axes: list[int]) -> Tensor:
    """Every voxel inside gets the largest label that reaches it through faces of voxels inside, along some axes.

    Args:
        labels: integers, 0 outside; changed in place.
        inside: bool.
        axes: along which labels spread.
    """
    changed = True
    while changed:
        before = labels.clone()
        for axis in axes:
            count = labels.shape[axis]
            for step in range(1, 2 * count - 1):  # forth, then back
                here = step if step < count else 2 * count - 2 - step
                there = here - 1 if step < count else here + 1
                larger = torch.maximum(labels.select(axis, here), labels.select(axis, there))
                labels.select(axis, here).copy_(larger * inside.select(axis, here))
        changed = not torch.equal(before, labels)
    return labels


def largest_region(inside: Tensor) -> Tensor:
    """The largest region whose voxels share faces; nothing where nothing is inside."""
    numbers = torch.arange(1, inside.numel() + 1, dtype=torch.int32, device=inside.device).view(inside.shape)
    labels = spread(numbers * inside, inside, [0, 1, 2])
    sizes = torch.bincount(labels.flatten())
    sizes[0] = 0
    return (labels == sizes.argmax()) & inside


def filled(region: Tensor, axis: int) -> Tensor:
    """A region with the cavities that are closed in a plane across an axis."""
    free = ~region
    reached = torch.zeros(region.shape, dtype=torch.int32, device=region.device)
    across = [(axis + 1) % 3, (axis + 2) % 3]
    for other in across:
        for end in [0, -1]:
            reached.select(other, end).copy_(free.select(other, end))
    return spread(reached, free, across) == 0


def distance(region: Tensor, sides: list[float], reach: float = REACH_MM) -> Tensor:
    """Distance of each voxel from the centre of the nearest one of a region in mm, at most ``reach``.

    The square of a distance is the sum of those along the axes, so that one axis after the other is searched.
    """
    squared = torch.where(region, 0.0, reach**2)
    for axis in range(3):
        count, best = region.shape[axis], squared.clone()
        for step in range(1, min(int(reach / sides[axis]), count - 1) + 1):
            away, rest = (step * sides[axis]) ** 2, count - step
            for near, far in [(0, step), (step, 0)]:
                place = best.narrow(axis, far, rest)
                place.copy_(torch.minimum(place, squared.narrow(axis, near, rest) + away))
        squared = best
    return squared.sqrt()


def percentile(values: Tensor, percent: float) -> Tensor:
    """Percentile of values (N), interpolated linearly; PyTorch's own takes 16 million values at most."""
    ordered = values.sort()[0]
    place = percent / 100 * (len(values) - 1)
    below = int(place)
    low, high = ordered[below], ordered[min(below + 1, len(values) - 1)]
    return low + (high - low) * (place - below)


def smoothed(volume: Tensor, sigmas: list[float]) -> Tensor:
    """Gaussian filter of four standard deviations to each side; the volume goes on as its mirror image."""
    for axis in range(3):
        sigma, count = sigmas[axis], volume.shape[axis]
        radius = int(4 * sigma + 0.5)
        places = torch.arange(-radius, count + radius, device=volume.device).remainder(2 * count)
        wide = volume.index_select(axis, torch.minimum(places, 2 * count - 1 - places)).double()
        weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1)]
        total = torch.zeros_like(volume, dtype=torch.double)
        for k in range(2 * radius + 1):
            total += wide.narrow(axis, k, count) * (weights[k] / sum(weights))
        volume = total.float()
    return volume


def lower_threshold(values: Tensor, bins: int = body.BINS) -> Tensor:
    """The lower of Otsu's two thresholds; see :func:`common.transforms.body.lower_otsu_threshold`."""
    low, high = values.min().double(), values.max().double()
    numbers = ((values.double() - low) / (high - low) * bins).long().clamp(0, bins - 1)
    counts = torch.bincount(numbers.flatten(), minlength=bins).double()
    centres = low + (high - low) * (torch.arange(bins, device=values.device) + 0.5) / bins
    share, moment = counts.cumsum(0) / values.numel(), (counts * centres).cumsum(0) / values.numel()
    shares = torch.stack(torch.broadcast_tensors(share[:-1, None], share[None, :-1]))
    moments = torch.stack(torch.broadcast_tensors(moment[:-1, None], moment[None, :-1]))
    weights = torch.stack([shares[0], shares[1] - shares[0], 1 - shares[1]])
    sums = torch.stack([moments[0], moments[1] - moments[0], moment[-1] - moments[1]])
    is_split = (weights > 0).all(0)
    between = torch.where(is_split, (sums**2 / torch.where(weights > 0, weights, 1.0)).sum(0), 0.0)
    return centres[int(between.argmax()) // between.shape[1]].float()


def body_of(
    volume: Tensor,
    sides: list[float],
    blur_mm: float = body.COARSE_MM,
    dark: float = body.DARK,
    air_part: float = body.AIR_PART,
    closed_mm: float = body.CLOSED_MM,
) -> Tensor:
    """What is brighter than air, with cavities that are narrow or closed in a plane; everything without any air."""
    everything = torch.ones_like(volume, dtype=torch.bool)
    smooth = smoothed(volume, [blur_mm / side for side in sides])
    clipped = smooth.clamp(max=float(percentile(smooth.flatten(), 99.5)))
    if len(torch.unique(clipped)) < 3:
        return smooth > smooth.min()
    lowest = lower_threshold(clipped)
    below = smooth < lowest
    air, rest = percentile(smooth[below], 50.0), percentile(smooth[~below], 50.0)
    darkest = smooth.min()
    if bool(air - darkest > dark * (rest - darkest)):
        return everything
    region = largest_region(smooth > air + air_part * (lowest - air))
    for axis in range(3):
        region = filled(region, axis)
    outside = distance(region, sides) > closed_mm
    if not bool(region.any()) or not bool(outside.any()):
        return everything
    return distance(outside, sides) > closed_mm

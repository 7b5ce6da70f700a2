"""Distances between synthetic and real images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError, choose

Distance = Callable[..., Tensor]
"""Takes prediction and target, and more by keyword where it is asked for, and gives a scalar, such as :func:`l1`."""


def l1(prediction: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Absolute difference of two images (B, C, H, W[, D]), the unit being theirs.

    Args:
        prediction: synthetic images.
        target: real images of the same shape.
        reduction: ``mean`` over all elements, or ``sum`` over a sample and mean over the batch; the sum is the mean
            times the elements of one sample (voxels times channels).

    Raises:
        ConfigError: for another ``reduction``.
        ValueError: for images of different shapes.
    """
    require_same_shape(prediction, target)
    return reduced(F.l1_loss(prediction, target), target, reduction)


def gradient_difference(prediction: Tensor, target: Tensor, reduction: str = "sum") -> Tensor:
    """Gradient difference loss of two images (B, C, H, W[, D]): the sum over the spatial axes of
    || |grad Y| - |grad G(X)| ||^2, of the magnitudes of the differences of neighbours along each axis.

    Source: Mathieu et al. 2016, eq. 6 with alpha = 2; Nie et al. 2017, in 3-D. No difference reaches beyond the
    border, where zero padding would count the image's edge as one.

    Args:
        prediction: synthetic images.
        target: real images of the same shape.
        reduction: ``sum`` over voxels and channels, mean over the batch; as in the public code of Nie et al.; ``mean``
            divides that by the elements of one sample (voxels times channels), as :func:`l1` does.

    Raises:
        ConfigError: for another ``reduction``.
        ValueError: for images of different shapes.
    """
    require_same_shape(prediction, target)
    ours, theirs = at_least_float32(prediction), at_least_float32(target)
    axes = range(2, target.ndim)
    terms = [(theirs.diff(dim=axis).abs() - ours.diff(dim=axis).abs()).square().sum() for axis in axes]
    return reduced(torch.stack(terms).sum() / target.numel(), target, reduction)


def region_weighted_l1(
    prediction: Tensor, target: Tensor, lesion: Tensor, nawm: Tensor, region_counts: Tensor | None = None
) -> Tensor:
    """Absolute differences summed over each region, divided by its voxels, summed over the regions, averaged over the
    batch: 1 / B sum_i (1 / N_Les sum_Les |e| + 1 / N_NAWM sum_NAWM |e| + 1 / N_other sum_other |e|) (Wei et al. 2018).

    The regions are lesion, normal-appearing white matter and other, all that is neither; a voxel of both is lesion. A
    small lesion thus weighs as much as each larger region. A region without a voxel contributes nothing.

    The published N are those of a whole subject. For patches, ``region_counts`` are the voxels that a patch of the
    subject holds on average: N times the mean probability that a patch covers a voxel of the region. The expected loss
    over its patches is then the published sum, exactly for patches that tile the subject; for patches drawn at random,
    each mean is weighted within its region by how often a voxel is drawn. Without them, those of each sample are taken:
    a patch that grazes a lesion in one voxel then gives that voxel the weight of all its NAWM.

    The published sum has the factor 1 / (N M). N, over which it runs, are the subjects, here the batch. 1 / M, the
    voxels of an image, is omitted: it would only rescale the weight of this loss, which without it has the size of
    :func:`l1` times the regions present.

    Args:
        prediction: synthetic images (B, C, H, W[, D]).
        target: real images of the same shape.
        lesion: (B, 1, H, W[, D]), booleans or numbers above 0 inside.
        nawm: likewise.
        region_counts: voxels of lesion, NAWM and other that divide the sums of a sample; (B, 3), 0 for an
            absent region, by :class:`common.data.datasets.patches.VolumePatchDataset`. None: those of the sample.

    Raises:
        ValueError: for images, regions or counts of different shapes.
    """
    require_same_shape(prediction, target)
    region = (len(target), 1, *target.shape[2:])
    for name, given, shape in (
        ("lesion", lesion, region),
        ("nawm", nawm, region),
        ("region_counts", region_counts, (len(target), 3)),
    ):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name} has the shape {tuple(given.shape)} where the images need {shape}")
    in_lesion = lesion > 0
    in_nawm = (nawm > 0) & ~in_lesion
    regions = (in_lesion, in_nawm, ~(in_lesion | in_nawm))
    error = (at_least_float32(prediction) - at_least_float32(target)).abs().mean(dim=1, keepdim=True)
    sums = torch.stack([_voxel_sum(error * region) for region in regions], dim=1)
    voxels = region_counts
    if voxels is None:
        voxels = torch.stack([_voxel_sum(region) for region in regions], dim=1)
    return (sums / (voxels + (voxels == 0))).sum(dim=1).mean()


def _voxel_sum(image: Tensor) -> Tensor:
    """Sum of each sample (B, ...), (B,)."""
    return image.flatten(1).sum(dim=1)


def require_same_shape(prediction: Tensor, target: Tensor) -> None:
    """Refuse images that would broadcast.

    Raises:
        ValueError: for images of different shapes.
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")


def at_least_float32(image: Tensor) -> Tensor:
    """Half precision ends at 65504, which a sum over a patch passes."""
    return image.to(torch.promote_types(image.dtype, torch.float32))


def reduced(mean: Tensor, target: Tensor, reduction: str) -> Tensor:
    """A mean over all elements as it is, or times the elements of one sample: the sum of a sample.

    Raises:
        ConfigError: for another ``reduction`` than ``mean`` and ``sum``.
    """
    if reduction not in ("mean", "sum"):
        raise ConfigError(f"reduction is {reduction!r}", choose(("mean", "sum")))
    return mean if reduction == "mean" else mean * target[0].numel()

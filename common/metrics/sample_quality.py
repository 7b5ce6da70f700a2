"""Diversity and memorisation of a set of synthetic images, and the verdicts on mode collapse and copying."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError

logger = logging.getLogger(__name__)
GRAIN = 4
"""Side of the blocks in pixels over which images are averaged before the comparison, which removes noise."""
NEIGHBOURS = 5
"""Number of further training images that the distance to the nearest one is compared with."""
CLOSE = 0.5
"""Closeness from which nothing is a copy: half the distance of the next training images."""
CHANCE = 0.01
"""False positive rate of the verdict on copying."""
COLLAPSED = 0.5
"""Diversity below which the verdict is mode collapse."""


def diversity(made: Tensor, real: Tensor) -> float:
    """Mean pairwise distance of synthetic images relative to that of real ones; ideal 1, near 0 at mode collapse.

    Args:
        made: features (N, F).
        real: features (M, F).

    Raises:
        DataError: a set has fewer than two images.
    """
    if min(len(made), len(real)) < 2:
        raise DataError(f"diversity compares {len(made)} and {len(real)} images, and each set needs two", "give more")
    return float(torch.pdist(made.double()).mean() / torch.pdist(real.double()).mean())


@dataclass(frozen=True)
class Nearest:
    """Nearest training image of each image: index (N,), distance (N,), and closeness (N,).

    Closeness is the distance to the nearest relative to the mean distance to the next ones: near 0 for a copy, near 1
    for a smooth image, which has about the same distance to several.
    """

    index: Tensor
    distance: Tensor
    closeness: Tensor


def turned_and_reflected(images: Tensor) -> list[Tensor]:
    """Images (N, 1, H, W) in the eight positions by rotation of 90 degrees and reflection."""
    return [torch.rot90(side, turns, (2, 3)) for side in (images, images.flip(3)) for turns in range(4)]


def left_and_right(volumes: Tensor) -> list[Tensor]:
    """Volumes (N, 1, X, Y, Z), and the same with left and right exchanged."""
    return [volumes, volumes.flip(2)]


def nearest_training(
    images: Tensor, training: Tensor, views: Callable[[Tensor], Sequence[Tensor]] = turned_and_reflected
) -> Nearest:
    """Nearest training image of each image, whichever of its views is nearest.

    Distances are root mean squares over blocks of 4 pixels a side, so that the absence of noise does not make a smooth
    image close to a smooth training image.

    Args:
        images: (N, 1, H, W[, D]) with sides that are multiples of 4.
        training: (M, 1, H, W[, D]), M at least 3.
        views: the positions of an image that count as the same.

    Raises:
        DataError: there are fewer than 3 training images.
    """
    if len(training) < 3:
        raise DataError(f"nearest neighbours among {len(training)} training images, fewer than 3", "give more")
    pooled = F.avg_pool2d if images.dim() == 4 else F.avg_pool3d
    coarse, known = (pooled(each.double(), GRAIN) for each in (images, training))
    flat = known.flatten(1)
    distances = torch.stack([torch.cdist(view.flatten(1), flat) for view in views(coarse)]).amin(0)
    ordered, index = (distances / flat.shape[1] ** 0.5).sort(dim=1)
    others = ordered[:, 1 : 1 + NEIGHBOURS].mean(1)
    return Nearest(index[:, 0], ordered[:, 0], ordered[:, 0] / others)


def copied(made: Nearest, held_out: Nearest) -> Tensor:
    """Mask (N,) of copies: samples with a closeness below that of every held-out real image and below ``CLOSE``.

    By chance one sample in M + 1 is closer than all of M real ones, see :func:`chance_limit`. The second condition is
    needed because samples with little diversity are more often close to the same training images.
    """
    return made.closeness < min(float(held_out.closeness.min()), CLOSE)


def chance_limit(held_out: int) -> float:
    """Share of samples below the smallest of M real values that is exceeded by chance with probability ``CHANCE``.

    For samples as independent of the training images as held-out ones, the share follows Beta(1, M).
    """
    return float(1 - CHANCE ** (1 / held_out))


def memorisation_verdict(share: float, held_out: int) -> str:
    """Verdict on copying, from the share of copied samples and the number of held-out real images."""
    copied = f"{share:.0%} of samples closer to a training image than any of {held_out} held-out ones is"
    if share > chance_limit(held_out):
        return f"COPIES training images: {copied}, chance allows {chance_limit(held_out):.0%}"
    return f"no sign of copying: {copied}, chance allows {chance_limit(held_out):.0%}"


def collapse_verdict(value: float) -> str:
    """Verdict on mode collapse, from the diversity."""
    if value < COLLAPSED:
        return f"MODE COLLAPSE: pairs of samples differ by {value:.0%} of what real ones do"
    return f"no mode collapse: pairs of samples differ by {value:.0%} of what real ones do"


def sample_verdict(name: str, row: Mapping[str, float], held_out: int) -> str:
    """Both verdicts on a set of samples in one line, which is logged as a warning where one of them is bad.

    Args:
        name: of the set.
        row: its scores, with ``copied`` and ``diversity``.
        held_out: number of held-out real images.
    """
    line = f"{name}: {memorisation_verdict(row['copied'], held_out)}; {collapse_verdict(row['diversity'])}"
    if "MODE COLLAPSE" in line or "COPIES" in line:
        logger.warning(line)
    return line

"""What a set of synthetic images is like: as varied as real ones, and not copied from those it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from common.errors import DataError

GRAIN = 4
"""Pixels a side over which images are averaged before they are compared: noise is no sign of who was copied."""
NEIGHBOURS = 5
"""Further training images that a sample's nearest one is compared with."""
CLOSE = 0.5
"""Closeness above which nothing is called a copy: half as far from one training image as from the next ones."""
CHANCE = 0.01
"""How often a generator that does not copy may be said to."""
COLLAPSED = 0.5
"""Diversity below which a generator is said to have collapsed."""


def diversity(made: Tensor, real: Tensor) -> float:
    """Mean distance of pairs of synthetic images over that of pairs of real ones; ideal 1, near 0 where all are alike.

    Args:
        made: features (N, F).
        real: features (M, F).

    Raises:
        DataError: for fewer than two images in a set.
    """
    if min(len(made), len(real)) < 2:
        raise DataError("diversity", "is of at least two images", f"{len(made)} and {len(real)}", "give more")
    return float(torch.pdist(made.double()).mean() / torch.pdist(real.double()).mean())


@dataclass(frozen=True)
class Nearest:
    """For each image its nearest training image: index (N,), distance (N,), and closeness (N,).

    Closeness is the distance to the nearest over the mean distance to the next ones: a copy's is near 0, while an image
    that is merely smooth is about as near to several and stays near 1.
    """

    index: Tensor
    distance: Tensor
    closeness: Tensor


def nearest_training(images: Tensor, training: Tensor) -> Nearest:
    """The nearest training image of each, as it is, turned by quarters or mirrored.

    Distances are root mean squares over blocks of 4 x 4 pixels, so that a smooth image is not near to a smooth training
    image for its want of noise alone.

    Args:
        images: (N, 1, H, W) with H = W, a multiple of 4.
        training: (M, 1, H, W), M at least 3.

    Raises:
        DataError: for fewer training images.
    """
    if len(training) < 3:
        raise DataError("nearest neighbours", "are among at least 3 training images", len(training), "give more")
    coarse, known = (F.avg_pool2d(patches.double(), GRAIN) for patches in (images, training))
    views = [torch.rot90(side, turns, (2, 3)) for side in (coarse, coarse.flip(3)) for turns in range(4)]
    flat = known.flatten(1)
    distances = torch.stack([torch.cdist(view.flatten(1), flat) for view in views]).amin(0)
    ordered, index = (distances / flat.shape[1] ** 0.5).sort(dim=1)
    others = ordered[:, 1 : 1 + NEIGHBOURS].mean(1)
    return Nearest(index[:, 0], ordered[:, 0], ordered[:, 0] / others)


def copied(made: Nearest, held_out: Nearest) -> Tensor:
    """Which samples (N,) are copies: closer to a training image than every held-out real one is, and than ``CLOSE``.

    By chance one sample in M + 1 is closer than all of M real ones, see :func:`chance_limit`; samples with less variety
    than real ones have favourites among the training images more often, so they must be close as well.
    """
    return made.closeness < min(float(held_out.closeness.min()), CLOSE)


def chance_limit(held_out: int) -> float:
    """Share of samples below the least of M real values that chance exceeds in one case of a hundred.

    Were samples as independent of the training images as held-out ones are, the share would follow Beta(1, M).
    """
    return 1 - CHANCE ** (1 / held_out)


def memorisation_verdict(share: float, held_out: int) -> str:
    """In words, from the share of copied samples and the number of held-out real images beside them."""
    found = f"{share:.0%} of samples closer to a training patch than any of {held_out} held-out ones is"
    if share > chance_limit(held_out):
        return f"COPIES training patches: {found}, chance allows {chance_limit(held_out):.0%}"
    return f"no sign of copying: {found}, chance allows {chance_limit(held_out):.0%}"


def collapse_verdict(value: float) -> str:
    """In words, from the diversity."""
    if value < COLLAPSED:
        return f"MODE COLLAPSE: pairs of samples differ by {value:.0%} of what real ones do"
    return f"no mode collapse: pairs of samples differ by {value:.0%} of what real ones do"

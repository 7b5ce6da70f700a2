"""Kernel inception distance (KID) of two sets of images: unbiased for any sample size, unlike the Frechet distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced
from monai.handlers import from_engine
from torch import Tensor

from ..errors import DataError
from .random_features import RandomFeatures

PAIRS = from_engine(["pred", "label", "image"])


def kid(one: Tensor, other: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel k(a, b) = (a.b / F + 1)^3 (Binkowski et al. 2018).

    Its expectation is 0 if both sets have one distribution; single values are then positive or negative.

    Args:
        one: features (N, F).
        other: features (M, F).

    Raises:
        DataError: a set has fewer than two images.
    """
    n, m = len(one), len(other)
    if min(n, m) < 2:
        raise DataError(f"KID compares {n} and {m} images, and each set needs two", "give more patches")
    a, b = one.double(), other.double()
    within_a, within_b, across = (_kernel(x, y) for x, y in ((a, a), (b, b), (a, b)))
    own = (within_a.sum() - within_a.trace()) / (n * (n - 1)) + (within_b.sum() - within_b.trace()) / (m * (m - 1))
    return float(own - 2 * across.mean())


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.T / one.shape[1] + 1) ** 3


class ClassKid(Metric):
    """Mean over the classes of the KID between synthetic and real patches, as a metric of MONAI's evaluator.

    ``pred`` and ``label`` are images (1, H, W[, D]); the class of both is the one-hot end of ``image``, of numbers or
    of channels. Every process evaluates all patches, without communication.

    Args:
        classes: number of classes K; 1 for images without a class, whatever ``image`` is.
        features: images (N, 1, ...) -> (N, F); None for :class:`RandomFeatures`.
    """

    def __init__(self, classes: int, features: Callable[[Tensor], Tensor] | None = None) -> None:
        self.classes = classes
        self.features = features or RandomFeatures()
        super().__init__(PAIRS, skip_unrolling=True)

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all patches."""
        self._seen: list[tuple[int, Tensor, Tensor]] = []

    @reinit__is_reduced
    def update(self, output: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]) -> None:
        """Add the patches of one iteration."""
        for pred, label, image in zip(*output, strict=True):
            k = int(image[-self.classes :].reshape(self.classes, -1).amax(1).argmax()) if self.classes > 1 else 0
            self._seen.append((k, pred.detach().float().cpu(), label.detach().float().cpu()))

    def compute(self) -> float:
        """Mean KID over the classes with at least two patches.

        Raises:
            NotComputableError: no class has two patches.
        """
        values = []
        for k in range(self.classes):
            sets = [(pred, label) for own, pred, label in self._seen if own == k]
            if len(sets) > 1:
                made, real = (torch.stack(part) for part in zip(*sets, strict=True))
                values.append(kid(self.features(made), self.features(real)))
        if not values:
            raise NotComputableError("ClassKid needs at least two patches of a class")
        return sum(values) / len(values)

"""SegAN: a segmenter against a critic, both by the multi-scale L1 distance of masked images (Xue et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu
from torch import Tensor, nn

from common.losses.features import hidden_features
from common.segmenter.segmentation import dice
from common.training.methods.base import Batch, GanMethod, Losses

HALF = 127.5
"""Level from which a pixel belongs to a nucleus."""


class SegAn(GanMethod):
    """min over the segmenter S, max over the critic C of the mean L1 distance of C's layers for x S(x) and x y.

    Named losses: ``adversarial``, that distance, and those with a function; ``discriminator`` is its negative. The
    images themselves count as a layer. Masks y are -1 and 1, images x in [-1, 1]; both are taken as 0 to 1.

    Args:
        generator: segmenter, (B, C, H, W) -> (B, 1, H, W) in [-1, 1].
        discriminator: critic of images (B, C, H, W); the outputs of its activations are compared.
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
    """

    terms = ("adversarial",)
    adversarial_terms = ("adversarial",)

    def __init__(self, generator: nn.Module, discriminator: nn.Module, losses: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, losses)

    def generate(self, batch: Batch) -> Losses:
        """Masks (B, 1, H, W) in [-1, 1]."""
        return {"pred": self.generators["generator"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The critic's loss: the negative distance."""
        return {"discriminator": -self._distance(batch, fakes["pred"])} if self.has_adversary else {}

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """The distance by the critic, or a loss with a function."""
        return self._distance(batch, fakes["pred"]) if name in self.terms else super().loss(name, batch, fakes)

    def _distance(self, batch: Batch, pred: Tensor) -> Tensor:
        seen = (batch["image"] + 1) / 2
        ours, true = (seen * (mask + 1) / 2 for mask in (pred, batch["label"]))
        critic = self.discriminators["discriminator"]
        layers = zip([ours, *hidden_features(critic, ours)], [true, *hidden_features(critic, true)], strict=True)
        return torch.stack([(one - other).abs().mean() for one, other in layers]).mean()


def nuclei_dice(pred: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """Return ``dice_nuclei``, the overlap of pixels above ``HALF`` in prediction and truth (X, Y, 1); nan without any.

    Args:
        pred: levels.
        truth: levels.
        mask: the pixels to score, above 0 inside.
    """
    found, real = (np.asarray(each)[np.asarray(mask) > 0] > HALF for each in (pred, truth))
    return {"dice_nuclei": dice(found, real)}


def otsu(picture: np.ndarray) -> np.ndarray:
    """Levels (X, Y, 1) of nuclei by Otsu's threshold of the hematoxylin of a picture (X, Y, 1, 3) in levels."""
    hematoxylin = rgb2hed(np.clip(picture, 0, 255) / 255)[..., 0]
    return np.where(hematoxylin > threshold_otsu(hematoxylin), 255.0, 0.0)

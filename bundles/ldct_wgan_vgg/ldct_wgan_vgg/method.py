"""Losses of WGAN-VGG and of the methods that it is compared with."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from common.losses import Distance
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan


class WganVgg(ConditionalGan):
    """min_G max_D L_WGAN(D, G) + lambda_1 L_VGG(G) (Yang et al. 2018, eq. 8): the critic sees the restored image alone.

    Named losses: ``adversarial``, ``perceptual``, ``l2`` = E (G(x) - y)^2 (generator), ``discriminator`` and, with a
    gradient penalty, ``discriminator_penalty``. Slabs (B, C, H, W) to slices (B, 1, H, W) in [-1, 1].

    Args:
        perceptual: of two images, such as :class:`common.losses.PerceptualDistance`.
        **settings: arguments of :class:`common.methods.conditional.ConditionalGan`, but for ``conditional``.
    """

    def __init__(self, *, perceptual: Distance, **settings: Any) -> None:
        super().__init__(**settings, conditional=False)
        self.perceptual = perceptual

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Squared differences of features, and of pixels."""
        found = {"perceptual": self.perceptual, "l2": F.mse_loss}
        return {name: distance(pred, batch["label"]) for name, distance in found.items() if self.uses(name)}

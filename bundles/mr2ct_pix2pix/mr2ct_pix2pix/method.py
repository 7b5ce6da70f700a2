"""Losses of pix2pix."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from common.losses import Distance, l1
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan


class Pix2Pix(ConditionalGan):
    """Conditional GAN with L1 (Isola et al. 2017, eq. 4): G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G).

    Named losses: ``adversarial``, ``l1`` (generator), ``discriminator``. With ``adversarial: 0`` only the U-Net
    is trained, without the discriminator. Images (B, C, H, W) in [-1, 1].

    Args:
        l1_loss: ``l1``, or one that weighs by the true HU, :class:`common.losses.BalancedL1`.
        *gan, **settings: arguments of :class:`common.methods.conditional.ConditionalGan`.
    """

    def __init__(self, *gan: Any, l1_loss: Distance = l1, **settings: Any) -> None:
        super().__init__(*gan, **settings)
        self.l1_loss = l1_loss

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Mean absolute difference."""
        return {"l1": self.l1_loss(pred, batch["label"])}

"""Losses of pix2pix."""

from __future__ import annotations

from torch import Tensor

from common.losses import l1
from common.methods.base import Batch, Losses
from common.methods.conditional import ConditionalGan


class Pix2Pix(ConditionalGan):
    """Conditional GAN with L1 (Isola et al. 2017, eq. 4): G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G).

    Named losses: ``adversarial``, ``l1`` (generator), ``discriminator``. With ``adversarial: 0`` only the U-Net
    is trained, without the discriminator. Images (B, C, H, W) in [-1, 1].
    """

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Mean absolute difference."""
        return {"l1": l1(pred, batch["label"])}

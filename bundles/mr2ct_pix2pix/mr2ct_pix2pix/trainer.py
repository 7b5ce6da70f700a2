"""The losses of pix2pix."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.losses import AdversarialLoss, l1
from common.methods import Batch, GanMethod, Losses


class Pix2Pix(GanMethod):
    """Conditional GAN with L1 (Isola et al. 2017, eq. 4): G* = arg min_G max_D L_cGAN(G, D) + lambda L_L1(G).

    Named losses: ``adversarial``, ``l1`` (generator), ``discriminator``. With ``adversarial: 0`` the plain U-Net is
    trained and the discriminator rests.

    Args:
        generator: (B, C, H, W) -> (B, C', H, W), both in [-1, 1].
        discriminator: judges source and target stacked, (B, C + C', H, W) -> logits.
        loss_weights: of ``adversarial`` and ``l1``.
        adversarial_loss: BCE with logits as published, or another.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss_weights: Mapping[str, float],
        adversarial_loss: AdversarialLoss,
    ) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, loss_weights)
        self.adversarial_loss = adversarial_loss

    def _judge(self, source: Tensor, target: Tensor) -> Tensor:
        return self.discriminators["discriminator"](torch.cat([source, target], dim=1))

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets, (B, C', H, W)."""
        return {"pred": self.generators["generator"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Real and synthetic targets, each beside its source."""
        if not self.uses("adversarial"):
            return {}
        real, fake = self._judge(batch["image"], batch["label"]), self._judge(batch["image"], fakes["pred"])
        return {"discriminator": self.adversarial_loss.discriminator(real, fake)}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Deceive the discriminator, stay close to the target."""
        losses = {"l1": l1(fakes["pred"], batch["label"])}
        if self.uses("adversarial"):
            losses["adversarial"] = self.adversarial_loss.generator(self._judge(batch["image"], fakes["pred"]))
        return losses

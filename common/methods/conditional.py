"""Conditional GAN for paired data: one generator, one discriminator, distances to the true target."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.losses import AdversarialLoss
from common.methods.base import Batch, GanMethod, Losses


class ConditionalGan(GanMethod):
    """G* = arg min_G max_D L_cGAN(G, D) + distances to the target (Isola et al. 2017, eq. 4).

    Named losses: ``adversarial`` (generator), ``discriminator``, and those of :meth:`distances`. With
    ``adversarial: 0`` the generator is trained alone.

    Args:
        generator: (B, C, H, W[, D]) -> (B, C', H, W[, D]).
        discriminator: takes source and target stacked, (B, C + C', ...), or the target alone; logits of any shape.
        loss_weights: by the losses' names.
        adversarial_loss: on the discriminator's logits.
        conditional: whether the discriminator takes the source as well as the target.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss_weights: Mapping[str, float],
        adversarial_loss: AdversarialLoss,
        conditional: bool = True,
    ) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, loss_weights)
        self.adversarial_loss = adversarial_loss
        self.conditional = conditional

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Named distances of the synthetic target from the true one, as far as they have a weight."""
        raise NotImplementedError

    def _judge(self, source: Tensor, target: Tensor) -> Tensor:
        seen = torch.cat([source, target], dim=1) if self.conditional else target
        logits: Tensor = self.discriminators["discriminator"](seen)
        return logits

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets, (B, C', ...)."""
        return {"pred": self.generators["generator"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The discriminator's loss on real and synthetic targets, each with its source where it is conditional."""
        if not self.uses("adversarial"):
            return {}
        real, fake = self._judge(batch["image"], batch["label"]), self._judge(batch["image"], fakes["pred"])
        return {"discriminator": self.adversarial_loss.discriminator(real, fake)}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Distances to the target, and the generator's adversarial loss."""
        losses = self.distances(batch, fakes["pred"])
        if self.uses("adversarial"):
            losses["adversarial"] = self.adversarial_loss.generator(self._judge(batch["image"], fakes["pred"]))
        return losses

"""Conditional GAN for paired data: one generator, one discriminator, distances to the true target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...losses import AdversarialLoss
from .base import Batch, GanMethod, Losses


class ConditionalGan(GanMethod):
    """G* = arg min_G max_D L_cGAN(G, D) + distances to the target (Isola et al. 2017, eq. 4).

    Named losses: ``adversarial`` and ``feature_matching`` (generator), ``discriminator``, and those with a function.
    With ``adversarial`` and ``feature_matching`` of weight 0 the generator is trained alone.

    Args:
        generator: (B, C, H, W[, D]) -> (B, C', H, W[, D]).
        discriminator: takes source and target stacked, (B, C + C', ...), or the target alone; logits of any shape.
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: on the discriminator's logits.
        conditional: whether the discriminator takes the source as well as the target.
        place: id of the losses in messages.
    """

    terms = GanMethod.adversarial_terms

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
        conditional: bool = True,
        place: str = "--losses",
    ) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, losses, adversarial_loss, place)
        self.adversarial_loss: AdversarialLoss = adversarial_loss
        self.conditional = conditional

    def _seen(self, source: Tensor, target: Tensor) -> Tensor:
        """Input of the discriminator."""
        return torch.cat([source, target], dim=1) if self.conditional else target

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets, (B, C', ...); of a network with several resolutions in training the finest."""
        pred = self.generators["generator"](batch["image"])
        return {"pred": pred[0] if isinstance(pred, list) else pred}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The discriminator's loss on real and synthetic targets, each with its source where it is conditional."""
        if not self.has_adversary:
            return {}
        real, fake = self._seen(batch["image"], batch["label"]), self._seen(batch["image"], fakes["pred"])
        return self.adversarial_loss.discriminator_losses(
            "discriminator", self.discriminators["discriminator"], real, fake
        )

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A distance to the target, or one of the generator's losses against the discriminator."""
        if name not in self.terms:
            return super().loss(name, batch, fakes)
        loss, discriminator = self.adversarial_loss, self.discriminators["discriminator"]
        fake = self._seen(batch["image"], fakes["pred"])
        if name == "adversarial":
            return loss.generator(discriminator(fake))
        return loss.feature_matching(discriminator, self._seen(batch["image"], batch["label"]), fake, paired=True)

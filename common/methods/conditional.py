"""Conditional GAN for paired data: one generator, one discriminator, distances to the true target."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from common.losses import AdversarialLoss
from common.methods.base import Batch, GanMethod, Losses


class ConditionalGan(GanMethod):
    """G* = arg min_G max_D L_cGAN(G, D) + distances to the target (Isola et al. 2017, eq. 4).

    Named losses: ``adversarial`` and ``feature_matching`` (generator), ``discriminator``, and those of
    :meth:`distances`. With ``adversarial: 0`` and ``feature_matching: 0`` the generator is trained alone.

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
        super().__init__({"generator": generator}, {"discriminator": discriminator}, loss_weights, adversarial_loss)
        self.adversarial_loss: AdversarialLoss = adversarial_loss
        self.conditional = conditional

    def distances(self, batch: Batch, pred: Tensor) -> Losses:
        """Named distances of the synthetic target from the true one, as far as they have a weight."""
        raise NotImplementedError

    def _seen(self, source: Tensor, target: Tensor) -> Tensor:
        """Input of the discriminator."""
        return torch.cat([source, target], dim=1) if self.conditional else target

    def generate(self, batch: Batch) -> Losses:
        """Synthetic targets, (B, C', ...)."""
        return {"pred": self.generators["generator"](batch["image"])}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The discriminator's loss on real and synthetic targets, each with its source where it is conditional."""
        if not self.has_adversary:
            return {}
        real, fake = self._seen(batch["image"], batch["label"]), self._seen(batch["image"], fakes["pred"])
        return self.adversarial_loss.judged("discriminator", self.discriminators["discriminator"], real, fake)

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Distances to the target, and the generator's losses against the discriminator."""
        losses, judge = self.distances(batch, fakes["pred"]), self.discriminators["discriminator"]
        fake = self._seen(batch["image"], fakes["pred"])
        if self.uses("adversarial"):
            losses["adversarial"] = self.adversarial_loss.generator(judge(self.adversarial_loss.noised(fake)))
        if self.uses("feature_matching"):
            real = self._seen(batch["image"], batch["label"])
            losses["feature_matching"] = self.adversarial_loss.feature_matching(judge, real, fake, paired=True)
        return losses

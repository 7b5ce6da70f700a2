"""Losses of the DCGANs, one per class, and of the class-conditional ACGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.losses import AdversarialLoss
from common.methods.base import Batch, GanMethod, Losses
from lesion_dcgan_aug.latent import Latent


class ClassGans(GanMethod):
    """One GAN per class, trained in parallel (Frid-Adar et al. 2018).

    Named losses: ``adversarial`` (generators) and ``discriminator_<class>``. They are summed over the classes, whose
    networks share no weights, so that each is trained independently.

    Args:
        generator: see :class:`lesion_dcgan_aug.networks.ClassGenerators`.
        discriminator: (B, K, H, W) -> logits (B, K).
        latent: distribution of z.
        classes: names in order.
        loss_weights: of ``adversarial``.
        adversarial_loss: BCE with logits in the publication.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: Latent,
        classes: Sequence[str],
        loss_weights: Mapping[str, float],
        adversarial_loss: AdversarialLoss,
    ) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, loss_weights)
        self.latent = latent
        self.classes = list(classes)
        self.adversarial_loss = adversarial_loss

    def generate(self, batch: Batch) -> Losses:
        """As many patches of each class as are in the batch, (B, K, H, W)."""
        real = batch["image"]
        z = self.latent.draw(len(real), len(self.classes), device=real.device)
        return {"pred": self.deployed.per_class(z)}  # type: ignore[operator]

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Losses of real and synthetic patches of each class, in separate batches."""
        judge = self.discriminators["discriminator"]
        real, fake = judge(batch["image"]), judge(fakes["pred"])
        return {
            f"discriminator_{name}": self.adversarial_loss.discriminator(real[:, k], fake[:, k])
            for k, name in enumerate(self.classes)
        }

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Adversarial loss, summed over the classes' discriminators."""
        verdicts = self.discriminators["discriminator"](fakes["pred"])
        losses = [self.adversarial_loss.generator(verdicts[:, k]) for k in range(len(self.classes))]
        return {"adversarial": torch.stack(losses).sum()}


class AcGan(ClassGans):
    """Conditional GAN whose discriminator also predicts the class (Odena et al. 2017, eq. 2 and 3).

    Named losses: ``adversarial`` and ``class`` (generator), ``discriminator`` and ``discriminator_class``. The weight
    of ``class`` applies to both networks.

    Args:
        **method: arguments of :class:`ClassGans`; the discriminator is (B, 1, H, W) -> logits (B, 1 + K).
    """

    def _judge(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of being real (B K,), and the cross-entropy of the classes of (B, K, H, W)."""
        logits = self.discriminators["discriminator"](patches.flatten(0, 1)[:, None])
        wanted = torch.arange(len(self.classes), device=patches.device).repeat(len(patches))
        return logits[:, 0], F.cross_entropy(logits[:, 1:], wanted)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Adversarial loss, and cross-entropy of the class of real and synthetic patches."""
        (real, real_class), (fake, fake_class) = self._judge(batch["image"]), self._judge(fakes["pred"])
        classes = self.loss_weights["class"] * (real_class + fake_class)
        return {"discriminator": self.adversarial_loss.discriminator(real, fake), "discriminator_class": classes}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Adversarial loss, and cross-entropy of the class."""
        verdicts, wrong = self._judge(fakes["pred"])
        return {"adversarial": self.adversarial_loss.generator(verdicts), "class": wrong}

"""The losses of the DCGANs, one a class, and of the class-conditional ACGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.losses import AdversarialLoss
from common.methods.base import Batch, GanMethod, Losses
from lesion_dcgan_aug.latent import Latent


class ClassGans(GanMethod):
    """A GAN for each class, trained side by side (Frid-Adar et al. 2018).

    Named losses: ``adversarial`` (generators) and ``discriminator_<class>``. They are summed over the classes, whose
    networks share nothing, so that each trains as if it were alone.

    Args:
        generator: see :class:`lesion_dcgan_aug.networks.ClassGenerators`.
        discriminator: (B, K, H, W) -> logits (B, K).
        latent: what z is drawn from.
        classes: names in order.
        loss_weights: of ``adversarial``.
        adversarial_loss: BCE with logits as published.
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
        """Real and synthetic patches of each class, in batches of their own."""
        judge = self.discriminators["discriminator"]
        real, fake = judge(batch["image"]), judge(fakes["pred"])
        return {
            f"discriminator_{name}": self.adversarial_loss.discriminator(real[:, k], fake[:, k])
            for k, name in enumerate(self.classes)
        }

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Deceive each class's discriminator."""
        verdicts = self.discriminators["discriminator"](fakes["pred"])
        losses = [self.adversarial_loss.generator(verdicts[:, k]) for k in range(len(self.classes))]
        return {"adversarial": torch.stack(losses).sum()}


class AcGan(ClassGans):
    """One conditional GAN whose discriminator names the class too (Odena et al. 2017, eq. 2 and 3).

    Named losses: ``adversarial`` and ``class`` (generator), ``discriminator`` and ``discriminator_class``. The weight
    of ``class`` counts for both networks.

    Args:
        **method: arguments of :class:`ClassGans`; the discriminator is (B, 1, H, W) -> logits (B, 1 + K).
    """

    def _judge(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of being real (B K,), and the cross-entropy of the classes of (B, K, H, W)."""
        logits = self.discriminators["discriminator"](patches.flatten(0, 1)[:, None])
        wanted = torch.arange(len(self.classes), device=patches.device).repeat(len(patches))
        return logits[:, 0], F.cross_entropy(logits[:, 1:], wanted)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Tell real from synthetic, and name the class of both."""
        (real, real_class), (fake, fake_class) = self._judge(batch["image"]), self._judge(fakes["pred"])
        classes = self.loss_weights["class"] * (real_class + fake_class) / 2
        return {"discriminator": self.adversarial_loss.discriminator(real, fake), "discriminator_class": classes}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Deceive the discriminator, and be recognised as the class."""
        verdicts, wrong = self._judge(fakes["pred"])
        return {"adversarial": self.adversarial_loss.generator(verdicts), "class": wrong}

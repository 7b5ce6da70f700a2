"""Losses of the DCGANs, one per class, and of the class-conditional ACGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.losses import AdversarialLoss
from common.training.methods.base import Batch, GanMethod, Losses
from lesion_dcgan_aug.latent import Latent


class ClassGans(GanMethod):
    """One GAN per class, trained in parallel (Frid-Adar et al. 2018).

    Named losses: ``adversarial`` and ``feature_matching`` (generators) and ``discriminator_<class>``. They are summed
    over the classes, whose networks share no weights, so that each is trained independently.

    Args:
        generator: see :class:`lesion_dcgan_aug.networks.ClassGenerators`.
        discriminator: (B, K, H, W) -> logits (B, K).
        latent: distribution of z.
        classes: names in order.
        losses: ``adversarial`` and ``feature_matching``, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: BCE with logits in the publication.
    """

    terms = GanMethod.adversarial_terms
    paired = False

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: Latent,
        classes: Sequence[str],
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
    ) -> None:
        super().__init__({"generator": generator}, {"discriminator": discriminator}, losses, adversarial_loss)
        self.latent = latent
        self.classes = list(classes)
        self.adversarial_loss: AdversarialLoss = adversarial_loss

    def generate(self, batch: Batch) -> Losses:
        """As many patches of each class as are in the batch, (B, K, H, W)."""
        real = batch["image"]
        z = self.latent.draw(len(real), len(self.classes), device=real.device)
        return {"pred": self.deployed.per_class(z)}  # type: ignore[operator]

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Losses of real and synthetic patches of each class, in separate batches."""
        discriminator, loss = self.discriminators["discriminator"], self.adversarial_loss
        real, fake = discriminator(batch["image"]), discriminator(fakes["pred"])
        losses = loss.penalties("discriminator", discriminator, batch["image"], fakes["pred"], groups=len(self.classes))
        loss.measure("discriminator", real, fake)
        for k, name in enumerate(self.classes):
            losses[f"discriminator_{name}"] = loss.discriminator(real[:, k], fake[:, k])
        return losses

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """Adversarial loss, summed over the classes' discriminators, or their features' distance."""
        discriminator, loss = self.discriminators["discriminator"], self.adversarial_loss
        if name == "feature_matching":
            return loss.feature_matching(discriminator, batch["image"], fakes["pred"], paired=False)
        verdicts = discriminator(fakes["pred"])
        return torch.stack([loss.generator(verdicts[:, k]) for k in range(len(self.classes))]).sum()


class AcGan(ClassGans):
    """Conditional GAN whose discriminator also predicts the class (Odena et al. 2017, eq. 2 and 3).

    Named losses: ``adversarial`` and ``class`` (generator), ``discriminator`` and ``discriminator_class``. The weight
    of ``class`` applies to both networks.

    Args:
        **method: arguments of :class:`ClassGans`; the discriminator is (B, 1, H, W) -> logits (B, 1 + K).
    """

    terms = (*ClassGans.terms, "class")

    def _verdicts(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of being real (B K,), and the cross-entropy of the classes of (B, K, H, W)."""
        logits = self.discriminators["discriminator"](_one_by_one(patches))
        wanted = torch.arange(len(self.classes), device=patches.device).repeat(len(patches))
        return logits[:, 0], F.cross_entropy(logits[:, 1:], wanted)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Adversarial loss, and cross-entropy of the class of real and synthetic patches."""
        (real, real_class), (fake, fake_class) = self._verdicts(batch["image"]), self._verdicts(fakes["pred"])
        loss, discriminator = self.adversarial_loss, self.discriminators["discriminator"]
        loss.measure("discriminator", real, fake)
        patches = _one_by_one(batch["image"]), _one_by_one(fakes["pred"])
        return {
            "discriminator": loss.discriminator(real, fake),
            "discriminator_class": self.loss_weights["class"] * (real_class + fake_class),
            **loss.penalties("discriminator", lambda images: discriminator(images)[:, :1], *patches),
        }

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Adversarial loss and cross-entropy of the class, both by one look of the discriminator."""
        verdicts, wrong = self._verdicts(fakes["pred"])
        shared = {"adversarial": self.adversarial_loss.generator(verdicts), "class": wrong}
        patches = {key: _one_by_one(images) for key, images in (("image", batch["image"]), ("pred", fakes["pred"]))}
        used = [name for name in self.loss_weights if self.uses(name)]
        return {name: shared[name] if name in shared else self.loss(name, patches, patches) for name in used}


def _one_by_one(patches: Tensor) -> Tensor:
    """Patches of all classes (B, K, H, W) as one batch (B K, 1, H, W)."""
    return patches.flatten(0, 1)[:, None]

"""CycleGAN: unpaired translation between two kinds of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...losses import AdversarialLoss, l1
from .base import Batch, GanMethod, Losses
from .image_pool import ImagePool


class CycleGan(GanMethod):
    """Two generators, each the inverse of the other, and a discriminator for each kind (Zhu et al. 2017, eq. 3).

    A is the source (``image``), B the target (``label``); they are not paired. Named losses of the generators, each
    computed only if it has a weight: ``adversarial`` = L_GAN(G_AB, D_B) + L_GAN(G_BA, D_A), ``feature_matching`` of
    both discriminators, ``cycle`` = E d(G_BA(G_AB(a)), a) + E d(G_AB(G_BA(b)), b) (eq. 2), ``identity`` =
    E d(G_BA(a), a) + E d(G_AB(b), b) (section 5.2), with d the absolute difference as published.

    Args:
        generator_ab: A -> B, the deployed one; (B, C, H, W[, D]) in and out, one shape.
        generator_ba: B -> A.
        discriminator_a: real or synthetic images of kind A; logits.
        discriminator_b: of kind B.
        losses: by the names above, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: least squares as published, or another.
        pool_size: earlier synthetic images kept for each discriminator.
        generators_first: whether the generators are updated before the discriminators, as in the authors' code.
    """

    terms = (*GanMethod.adversarial_terms, "cycle", "identity")
    paired = False

    def __init__(
        self,
        generator_ab: nn.Module,
        generator_ba: nn.Module,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
        pool_size: int = 50,
        generators_first: bool = False,
    ) -> None:
        generators = {"generator_ab": generator_ab, "generator_ba": generator_ba}
        discriminators = {"discriminator_a": discriminator_a, "discriminator_b": discriminator_b}
        super().__init__(generators, discriminators, losses, adversarial_loss)
        self.adversarial_loss: AdversarialLoss = adversarial_loss
        self.generators_first = generators_first
        self.pools = nn.ModuleDict({name: ImagePool(pool_size) for name in ("a", "b")})

    def networks_to_save(self) -> dict[str, nn.Module]:
        """Both directions: ``model_backward`` translates B to A."""
        return {**super().networks_to_save(), "model_backward": self.generators["generator_ba"]}

    def to_a(self, image: Tensor) -> Tensor:
        """An image of kind B as one of kind A."""
        fake: Tensor = self.generators["generator_ba"](image)
        return fake

    def to_b(self, image: Tensor) -> Tensor:
        """An image of kind A as one of kind B."""
        fake: Tensor = self.generators["generator_ab"](image)
        return fake

    def discriminator(self, kind: str) -> nn.Module:
        """The discriminator of images of kind ``a`` or ``b``."""
        return self.discriminators[f"discriminator_{kind}"]

    def seen(self, image: Tensor, source: Tensor) -> Tensor:
        """Input of a discriminator for an image that was synthesised from ``source`` (itself, for a real one)."""
        return image

    def generate(self, batch: Batch) -> Losses:
        """Both translations, their cycle reconstructions, and each generator's output on its own target kind."""
        fakes = {"pred": self.to_b(batch["image"]), "fake_a": self.to_a(batch["label"])}
        if self.uses("cycle"):
            fakes |= {"cycle_a": self.to_a(fakes["pred"]), "cycle_b": self.to_b(fakes["fake_a"])}
        if self.uses("identity"):
            fakes |= {"identity_a": self.to_a(batch["image"]), "identity_b": self.to_b(batch["label"])}
        return fakes

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Each discriminator on real images of its kind and on synthetic ones from its pool."""
        if not (self.uses("adversarial") or self.uses("feature_matching")):
            return {}
        a, b = batch["image"], batch["label"]
        pooled = {
            "a": self.pools["a"](self.seen(fakes["fake_a"], b)),
            "b": self.pools["b"](self.seen(fakes["pred"], a)),
        }
        real = {"a": self.seen(a, a), "b": self.seen(b, b)}
        losses_of = self.adversarial_loss.discriminator_losses
        losses = {
            kind: losses_of(f"discriminator_{kind}", self.discriminator(kind), real[kind], pooled[kind])
            for kind in ("a", "b")
        }
        return losses["a"] | losses["b"]

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """An adversarial, cycle-consistency or identity loss, of both directions."""
        if name not in CycleGan.terms:
            return super().loss(name, batch, fakes)
        if name in ("cycle", "identity"):
            return l1(fakes[f"{name}_a"], batch["image"]) + l1(fakes[f"{name}_b"], batch["label"])
        loss, (a, b) = self.adversarial_loss, (batch["image"], batch["label"])
        seen = {"a": self.seen(fakes["fake_a"], b), "b": self.seen(fakes["pred"], a)}
        if name == "adversarial":
            verdicts = (self.discriminator(kind)(image) for kind, image in seen.items())
            return torch.stack([loss.generator(each) for each in verdicts]).sum()
        real = {"a": self.seen(a, a), "b": self.seen(b, b)}
        matched = [
            loss.feature_matching(self.discriminator(kind), real[kind], seen[kind], paired=False) for kind in seen
        ]
        return torch.stack(matched).sum()

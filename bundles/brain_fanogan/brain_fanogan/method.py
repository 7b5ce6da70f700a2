"""Training of f-AnoGAN, of the autoencoder that it is compared with, and of the variational one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from brain_fanogan.networks import FAnoGan, Vae
from common.losses import AdversarialLoss
from common.training.methods.base import Batch, GanMethod, Losses


class FAnoGanMethod(GanMethod):
    """A Wasserstein GAN of codes, then the encoder with generator and critic frozen (Schlegl et al. 2019, izi_f).

    Named losses: ``adversarial`` in the first part of the training; ``image``, the mean squared residual of x and
    G(E(x)), and ``features``, that of the critic's features, in the second part. With ``adversarial`` of weight 0 there
    is no first part, and the generator learns with the encoder: a plain autoencoder.

    Args:
        network: of all three.
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: on the critic's output.
        gan_steps: steps of the first part.
    """

    terms = ("adversarial", "image", "features")
    adversarial_terms = ("adversarial",)

    def __init__(
        self,
        network: FAnoGan,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
        gan_steps: int,
    ) -> None:
        self.encoding = False
        super().__init__({"network": network}, {"critic": network.critic}, losses, adversarial_loss)
        self.adversarial_loss: AdversarialLoss = adversarial_loss
        self.gan_steps = gan_steps

    @property
    def network(self) -> FAnoGan:
        """The deployed network."""
        assert isinstance(self.deployed, FAnoGan)
        return self.deployed

    @property
    def is_in_last_part(self) -> bool:
        """Whether the encoder is trained."""
        return self.encoding

    @property
    def has_adversary(self) -> bool:
        """Whether the GAN is trained at this step."""
        return not self.encoding and super().has_adversary

    @property
    def variation(self) -> bool:
        """The part of the training."""
        return self.encoding

    def begin_step(self, step: int) -> None:
        """Enter the part of the training that a step belongs to; a frozen generator has fixed batch statistics."""
        self.encoding = step > self.gan_steps or not self.uses("adversarial")
        learns = not self.encoding or not self.uses("adversarial")
        self.network.generator.requires_grad_(learns).train(learns)

    def generate(self, batch: Batch) -> Losses:
        """Samples of random codes, or reconstructions, (B, 1, H, W)."""
        if self.encoding:
            return {"pred": self.network.reconstruct(batch["image"])}
        codes = torch.randn(len(batch["image"]), self.network.latent, device=batch["image"].device)
        return {"pred": self.network.sample(codes)}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The critic on real slices and samples."""
        if not self.has_adversary:
            return {}
        critic, loss = self.network.critic, self.adversarial_loss
        return loss.discriminator_losses("critic", critic, batch["image"], fakes["pred"])

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """The losses of this part of the training."""
        return {
            name: self.loss(name, batch, fakes)
            for name in self.loss_weights
            if self.uses(name) and (name == "adversarial") is not self.encoding
        }

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A loss by its name."""
        if name not in self.terms:
            return super().loss(name, batch, fakes)
        if name == "adversarial":
            return self.adversarial_loss.generator(self.network.critic(fakes["pred"]))
        real, made = batch["image"], fakes["pred"]
        if name == "features":
            real, made = self.network.critic.features(real), self.network.critic.features(made)
        return F.mse_loss(made, real)


class VaeMethod(GanMethod):
    """Training of the variational autoencoder.

    Named losses: ``image``, the mean squared residual, and ``kl``, the divergence of codes over the pixels.

    Args:
        network: the deployed one.
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
    """

    terms = ("image", "kl")

    def __init__(self, network: nn.Module, losses: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({"network": network}, {}, losses)

    def generate(self, batch: Batch) -> Losses:
        """Reconstructions (B, 1, H, W), means and logarithmic variances of the codes (B, latent)."""
        made, mean, log_variance, _ = cast(Vae, self.deployed).vae(batch["image"])
        return {"pred": torch.tanh(made), "mean": mean, "log_variance": log_variance}

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A loss by its name."""
        if name not in self.terms:
            return super().loss(name, batch, fakes)
        if name == "image":
            return F.mse_loss(fakes["pred"], batch["image"])
        mean, log_variance = fakes["mean"], fakes["log_variance"]
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
        return divergence / batch["image"][0].numel()


def residual(pred: NDArray[np.floating], truth: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Mean of a map (X, Y, Z) inside the brain; it has no truth."""
    return float(pred[mask > 0].mean())

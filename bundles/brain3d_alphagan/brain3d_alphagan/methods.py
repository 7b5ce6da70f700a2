"""Losses of the alpha-WGAN-GP and of its variants: WGAN-GP, VAE, diffusion and latent diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from brain3d_alphagan.diffusion import LatentDiffusionGenerator
from brain3d_alphagan.networks import BrainGenerator
from common.losses import AdversarialLoss
from common.training.methods.base import Batch, GanMethod, Losses


class WassersteinGan(GanMethod):
    """Generator and critic of images (Gulrajani et al. 2017). Named losses: ``adversarial``, ``feature_matching``.

    Args:
        generator: see :class:`brain3d_alphagan.networks.BrainGenerator`.
        discriminator: images to (B, 1).
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: of the critics; ``wasserstein`` with a gradient penalty.
    """

    terms = GanMethod.adversarial_terms
    adversarial_terms = (*GanMethod.adversarial_terms, "code")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
        **critics: nn.Module,
    ) -> None:
        super().__init__(
            {"generator": generator}, {"discriminator": discriminator, **critics}, losses, adversarial_loss
        )
        self.adversarial_loss: AdversarialLoss = adversarial_loss

    def generate(self, batch: Batch) -> Losses:
        """As many images as the batch has, and the noise that they are from."""
        network = self.deployed
        assert isinstance(network, BrainGenerator)
        noise = torch.randn(len(batch["image"]), *network.latent_shape, device=batch["image"].device)
        return {"pred": self.generators["generator"](noise), "noise": noise}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Of the critic of images."""
        critic = self.discriminators["discriminator"]
        return self.adversarial_loss.discriminator_losses("discriminator", critic, batch["image"], fakes["pred"])

    def _deceived(self, critic: str, fake: Tensor) -> Tensor:
        return self.adversarial_loss.generator(self.discriminators[critic](fake))

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """Of the generator."""
        if name == "feature_matching":
            critic = self.discriminators["discriminator"]
            return self.adversarial_loss.feature_matching(critic, batch["image"], fakes["pred"], paired=False)
        return self._deceived("discriminator", fakes["pred"])


class AlphaWgan(WassersteinGan):
    """alpha-WGAN-GP (Kwon et al. 2019): a critic sees images x, samples G(z) and reconstructions G(E(x)), another one
    codes E(x) and noise z.

    Named losses: ``adversarial`` = - D(G(z)) - D(G(E(x))), ``code`` = - C(E(x)), and distances with a function, of
    the reconstruction to the image. As published, generator and encoder are updated first, then the critics.

    Args:
        **method: arguments of :class:`WassersteinGan`, and ``code_discriminator``: codes to (B, 1).
    """

    terms = (*WassersteinGan.terms, "code")
    generators_first = True

    def generate(self, batch: Batch) -> Losses:
        """Samples with their noise, codes and reconstructions of the batch."""
        code = self.deployed.encode(batch["image"])  # type: ignore[operator]
        return {**super().generate(batch), "code": code, "reconstruction": self.generators["generator"](code)}

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Of both critics; that of images is the mean over samples and reconstructions, half of the published sum."""
        critics, loss = self.discriminators, self.adversarial_loss
        made = fakes["pred"], fakes["reconstruction"]
        return {
            **loss.discriminator_losses("discriminator", critics["discriminator"], batch["image"], *made),
            **loss.discriminator_losses(
                "code_discriminator", critics["code_discriminator"], fakes["noise"], fakes["code"]
            ),
        }

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """Of generator and encoder."""
        if name == "code":
            return self._deceived("code_discriminator", fakes["code"])
        if name == "adversarial":
            return super().loss(name, batch, fakes) + self._deceived("discriminator", fakes["reconstruction"])
        if name in self.terms:
            return super().loss(name, batch, fakes)
        return self.distance(name, {**batch, "label": batch["image"]}, fakes["reconstruction"])


class Autoencoding(GanMethod):
    """Base of variants without critics: distances with a function are of the reconstruction to the image.

    Args:
        generator: see :class:`brain3d_alphagan.networks.BrainGenerator`.
        losses: by their names.
    """

    def __init__(self, generator: nn.Module, losses: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({"generator": generator}, {}, losses)

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A distance, ``kl`` of the posterior to the standard normal, or ``noise``, the error of the noise found."""
        if name == "kl":
            mean, deviation = fakes["mean"], fakes["deviation"]
            return 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).flatten(1).sum(1).mean()
        if name == "noise":
            return F.mse_loss(fakes["found"], fakes["noise"])
        return self.distance(name, {**batch, "label": batch["image"]}, fakes["reconstruction"])


class Variational(Autoencoding):
    """VAE (Kingma and Welling 2014). Named losses: ``kl``, summed over the code, and distances with a function."""

    terms = ("kl",)

    def generate(self, batch: Batch) -> Losses:
        """Reconstructions from a code drawn from the posterior."""
        mean, log_variance = self.deployed.net.encode_forward(batch["image"])  # type: ignore[union-attr, operator]
        deviation = (0.5 * log_variance).exp()
        made = self.generators["generator"](mean + deviation * torch.randn_like(mean))
        return {"pred": made, "reconstruction": made, "mean": mean, "deviation": deviation}


class Diffusion(Autoencoding):
    """Denoising diffusion of images (Ho et al. 2020). Named loss: ``noise``."""

    terms = ("noise",)

    def generate(self, batch: Batch) -> Losses:
        """The noise that the network finds in noised images, and that noise."""
        found, noise = self.deployed.denoised(batch["image"])  # type: ignore[operator]
        return {"pred": found, "found": found, "noise": noise}


class LatentDiffusion(Autoencoding):
    """Latent diffusion; see :class:`brain3d_alphagan.diffusion.LatentDiffusionGenerator`.

    Named losses: ``noise``, ``kl``, summed over the maps, and distances with a function.
    """

    terms = ("noise", "kl")

    def generate(self, batch: Batch) -> Losses:
        """Reconstructions, and the noise that the network finds in noised latent maps."""
        network = self.deployed
        assert isinstance(network, LatentDiffusionGenerator)
        mean, deviation = network.autoencoder.encode(batch["image"])
        maps = mean + deviation * torch.randn_like(mean)
        made = network.autoencoder.decode(maps)
        network.follow(maps)
        found, noise = network.denoised(maps.detach() / network.deviation)
        parts = {"mean": mean, "deviation": deviation, "found": found, "noise": noise}
        return {"pred": made, "reconstruction": made, **parts}

"""Losses of the alpha-WGAN-GP and of its variants: VAE and latent diffusion."""

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


class AlphaWgan(GanMethod):
    """alpha-WGAN-GP (Kwon et al. 2019): a critic sees images x, samples G(z) and reconstructions G(E(x)), another one
    codes E(x) and noise z.

    Named losses: ``adversarial`` = - D(G(z)) - D(G(E(x))), ``code`` = - C(E(x)), ``feature_matching`` of the samples,
    and distances with a function, of the reconstruction to the image. As published, generator and encoder are updated
    first, then the critics.

    Args:
        generator: see :class:`brain3d_alphagan.networks.BrainGenerator`.
        discriminator: images to (B, 1).
        code_discriminator: codes to (B, 1).
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
        adversarial_loss: of the critics; ``wasserstein`` with a gradient penalty.
    """

    terms = (*GanMethod.adversarial_terms, "code")
    adversarial_terms = (*GanMethod.adversarial_terms, "code")
    generators_first = True

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        code_discriminator: nn.Module,
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss,
    ) -> None:
        critics = {"discriminator": discriminator, "code_discriminator": code_discriminator}
        super().__init__({"generator": generator}, critics, losses, adversarial_loss)
        self.adversarial_loss: AdversarialLoss = adversarial_loss

    def generate(self, batch: Batch) -> Losses:
        """As many samples as the batch has images, with their noise, and codes and reconstructions of the batch."""
        network, generator, image = self.deployed, self.generators["generator"], batch["image"]
        assert isinstance(network, BrainGenerator)
        code = network.encode(image)
        noise = torch.randn(len(image), *network.latent_shape, device=image.device)
        return {"pred": generator(noise), "noise": noise, "code": code, "reconstruction": generator(code)}

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

    def _deceived(self, critic: str, fake: Tensor) -> Tensor:
        return self.adversarial_loss.generator(self.discriminators[critic](fake))

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """Of generator and encoder."""
        if name == "code":
            return self._deceived("code_discriminator", fakes["code"])
        if name == "adversarial":
            made = ("pred", "reconstruction")
            return torch.stack([self._deceived("discriminator", fakes[each]) for each in made]).sum()
        if name == "feature_matching":
            critic = self.discriminators["discriminator"]
            return self.adversarial_loss.feature_matching(critic, batch["image"], fakes["pred"], paired=False)
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

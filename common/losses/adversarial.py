"""Losses of discriminators and generators, and what keeps their game stable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError, choose
from .features import hidden_features

Discriminator = Callable[[Tensor], Tensor]
"""A discriminator: images (B, ...) to logits of any shape."""
TARGETED = ("bce", "least_squares")
"""Kinds whose discriminator has a target for each output."""
EPSILON = 1e-12
"""Within the square root of a norm, whose gradient is infinite at 0."""


class AdversarialLoss(nn.Module):
    """Adversarial losses of discriminator and generator.

    - ``bce``: BCE(D(y), 1) + BCE(D(G(x)), 0) on logits; the generator BCE(D(G(x)), 1) (Goodfellow et al. 2014).
    - ``least_squares``: E (D(y) - 1)^2 + E D(G(x))^2; the generator E (D(G(x)) - 1)^2 (Mao et al. 2017, eq. 2).
    - ``hinge``: E max(0, 1 - D(y)) + E max(0, 1 + D(G(x))); the generator - E D(G(x)) (Lim and Ye 2017).
    - ``wasserstein``: E D(G(x)) - E D(y); the generator - E D(G(x)) (Arjovsky et al. 2017, eq. 3). It needs
      ``gradient_penalty``, and critics without batch normalisation.

    Everything below ``discriminator_factor`` is off by default. ``measures`` holds what the last step measured next to
    its losses: ``<discriminator>_accuracy``, the share of real and of synthetic images that were classified correctly.

    Args:
        kind: ``bce``, ``least_squares``, ``hinge`` or ``wasserstein``. No kind applies an activation first: the outputs
            are logits of any shape.
        discriminator_factor: factor on the discriminator's sum, penalties included; 0.5 slows it relative to the
            generator (Isola et al. 2017, section 3.3).
        real_label: the discriminator's target for real images, above 0.5 and at most 1; 0.9 is one-sided
            label smoothing (Salimans et al. 2016, section 3.4). For ``bce`` and ``least_squares``.
        gradient_penalty: weight of E (|grad D(u)| - 1)^2, u drawn between a real and a synthetic image (WGAN-GP,
            Gulrajani et al. 2017, eq. 3, who take 10).
        r1: gamma of gamma / 2 E |grad D(y)|^2 on real images (Mescheder et al. 2018, eq. 9, who take 10).

    Raises:
        ConfigError: for another ``kind``, a number out of its range, ``wasserstein`` without a bound on its critic, or
            ``real_label`` with a kind that has no targets.
    """

    kinds = ("bce", "least_squares", "hinge", "wasserstein")

    def __init__(
        self,
        kind: str = "bce",
        discriminator_factor: float = 0.5,
        real_label: float = 1.0,
        gradient_penalty: float = 0.0,
        r1: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in self.kinds:
            raise ConfigError(f"--adversarial_loss::kind is {kind!r}", choose(self.kinds))
        _require("real_label", 0.5 < real_label <= 1, "a number above 0.5 and at most 1", real_label)
        for name, value in (("gradient_penalty", gradient_penalty), ("r1", r1)):
            _require(name, value >= 0, "zero or a positive number", value)
        if real_label != 1 and kind not in TARGETED:
            fault = f"--adversarial_loss::real_label is {real_label}, but kind {kind} has no label to smooth"
            raise ConfigError(fault, f"choose kind {' or '.join(TARGETED)}")
        if kind == "wasserstein" and not gradient_penalty:
            fault = "nothing bounds the critic of --adversarial_loss::kind wasserstein"
            raise ConfigError(fault, "set gradient_penalty, for example 10")
        self.kind = kind
        self.discriminator_factor = discriminator_factor
        self.real_label = real_label
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.measures: dict[str, Tensor] = {}

    # ---- on outputs of a discriminator ----------------------------------------------------------------------------

    def _distance(self, outputs: Tensor, real: bool, target: float = 1.0) -> Tensor:
        if self.kind == "wasserstein":
            return -outputs.mean() if real else outputs.mean()
        if self.kind == "hinge":
            return F.relu(1 - outputs if real else 1 + outputs).mean()
        wanted = torch.full_like(outputs, target) if real else torch.zeros_like(outputs)
        measure = F.binary_cross_entropy_with_logits if self.kind == "bce" else F.mse_loss
        return measure(outputs, wanted)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar, from its outputs on real and on synthetic images."""
        return self.discriminator_factor * (self._distance(real, True, self.real_label) + self._distance(fake, False))

    def generator(self, fake: Tensor, wanted: bool = True) -> Tensor:
        """The generator's loss, a scalar, from the discriminator's outputs on synthetic images.

        ``wanted`` is the class that the generator aims at: real, or (where two generators compete) synthetic.
        """
        if self.kind in ("hinge", "wasserstein"):
            return -fake.mean() if wanted else fake.mean()
        return self._distance(fake, wanted)

    def accuracy(self, real: Tensor, fake: Tensor) -> Tensor | None:
        """Share of outputs on the right side, real and synthetic images counting alike; None for ``wasserstein``."""
        if self.kind == "wasserstein":
            return None
        threshold = self.real_label / 2 if self.kind == "least_squares" else 0.0
        return ((real > threshold).float().mean() + (fake <= threshold).float().mean()).detach() / 2

    # ---- on images --------------------------------------------------------------------------------------------------

    def discriminator_losses(
        self, name: str, discriminator: Discriminator, real: Tensor, *fakes: Tensor
    ) -> dict[str, Tensor]:
        """Losses of a discriminator on real images (B, ...) and on synthetic ones, averaged over several batches of
        these: under its name, and ``<name>_penalty`` where one is on. Its accuracy goes to ``measures``."""
        of_real, of_fakes = discriminator(real), [discriminator(fake) for fake in fakes]
        losses = {name: torch.stack([self.discriminator(of_real, each) for each in of_fakes]).mean()}
        self.measure(name, of_real, *of_fakes)
        return losses | self.penalties(name, discriminator, real, *fakes)

    def measure(self, name: str, real: Tensor, *fakes: Tensor) -> None:
        """Note the :meth:`accuracy` of outputs, averaged over several synthetic batches, as ``<name>_accuracy``."""
        accuracies = [each for fake in fakes if (each := self.accuracy(real, fake)) is not None]
        if accuracies:
            self.measures[f"{name}_accuracy"] = torch.stack(accuracies).mean()

    def penalties(
        self, name: str, discriminator: Discriminator, real: Tensor, *fakes: Tensor, groups: int = 1
    ) -> dict[str, Tensor]:
        """Penalties on the discriminator's gradient, summed, under ``<name>_penalty``; empty where none is on.

        Args:
            name: of the discriminator.
            discriminator: images to outputs.
            real: (B, C, ...).
            *fakes: of the same shape.
            groups: C where channel k is the input of discriminator k alone, whose penalties are summed; else 1.
        """
        terms = []
        if self.gradient_penalty:
            for fake in fakes:
                share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
                slopes = _slopes(discriminator, torch.lerp(fake.float(), real.float(), share), groups)
                terms.append(
                    self.gradient_penalty / len(fakes) * ((slopes + EPSILON).sqrt() - 1).square().mean(dim=0).sum()
                )
        if self.r1:
            terms.append(self.r1 / 2 * _slopes(discriminator, real.float(), groups).mean(dim=0).sum())
        return {f"{name}_penalty": self.discriminator_factor * torch.stack(terms).sum()} if terms else {}

    def feature_matching(self, discriminator: nn.Module, real: Tensor, fake: Tensor, paired: bool) -> Tensor:
        """Absolute difference of a discriminator's hidden features of real and synthetic images, the mean over layers.

        Args:
            discriminator: its features are the outputs of its activations.
            real: (B, ...).
            fake: likewise.
            paired: compare voxel by voxel (Wang et al. 2018, eq. 4); otherwise the means over batch and voxels of
                each feature (Salimans et al. 2016, section 3.1, there squared).
        """
        with torch.no_grad():
            wanted = hidden_features(discriminator, real)
        layers = zip(hidden_features(discriminator, fake), wanted, strict=True)
        if paired:
            return torch.stack([F.l1_loss(ours, theirs) for ours, theirs in layers]).mean()
        return torch.stack([F.l1_loss(_by_feature(ours), _by_feature(theirs)) for ours, theirs in layers]).mean()


def _require(name: str, holds: bool, allowed: str, value: object) -> None:
    if not holds:
        raise ConfigError(f"--adversarial_loss::{name} is {value}", f"give {allowed}")


def _by_feature(features: Tensor) -> Tensor:
    """Mean of each feature over batch and voxels."""
    return features.transpose(0, 1).flatten(1).mean(dim=1)


def _slopes(discriminator: Discriminator, images: Tensor, groups: int) -> Tensor:
    """Squared norm of the gradient of a discriminator's mean output of an image, (B, groups).

    In single precision, uncompiled: neither a half-precision norm nor the second derivative of a compiled network is
    to be had.
    """
    given, kind = images.detach().requires_grad_(), images.device.type
    single = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
    with torch.enable_grad(), single, torch.compiler.set_stance("force_eager"):
        outputs = discriminator(given)
        of_images = outputs.flatten(1).mean(dim=1) if groups == 1 else outputs
        (gradient,) = torch.autograd.grad(of_images.sum(), given, create_graph=True)
    return gradient.reshape(len(images), groups, -1).square().sum(dim=2)

"""Losses of the methods: adversarial terms on raw discriminator outputs, and distances between images.

The weights of a sum of losses are settings; see :func:`weighted_sum`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.errors import ConfigError


class AdversarialLoss(nn.Module):
    """What discriminator and generator pay for the discriminator's outputs.

    - ``bce``: BCE(D(y), 1) + BCE(D(G(x)), 0) on logits; the generator pays BCE(D(G(x)), 1) (Goodfellow et al. 2014).
    - ``least_squares``: E (D(y) - 1)^2 + E D(G(x))^2; the generator E (D(G(x)) - 1)^2 (Mao et al. 2017, eq. 2).
    - ``hinge``: E max(0, 1 - D(y)) + E max(0, 1 + D(G(x))); the generator - E D(G(x)) (Lim and Ye 2017).

    Args:
        kind: one of the three above. No kind applies an activation first: the outputs are logits of any shape.
        discriminator_factor: factor on the discriminator's sum; 0.5 slows it relative to the generator
            (Isola et al. 2017, section 3.3).

    Raises:
        ConfigError: for another ``kind``.
    """

    kinds = ("bce", "least_squares", "hinge")

    def __init__(self, kind: str = "bce", discriminator_factor: float = 0.5) -> None:
        super().__init__()
        if kind not in self.kinds:
            raise ConfigError(
                "adversarial loss", f"is one of {', '.join(self.kinds)}", repr(kind), "choose one of them"
            )
        self.kind = kind
        self.discriminator_factor = discriminator_factor

    def _distance(self, outputs: Tensor, real: bool) -> Tensor:
        if self.kind == "hinge":
            return F.relu(1 - outputs if real else 1 + outputs).mean()
        target = torch.ones_like(outputs) if real else torch.zeros_like(outputs)
        measure = F.binary_cross_entropy_with_logits if self.kind == "bce" else F.mse_loss
        return measure(outputs, target)

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar, from its outputs on real and on synthetic images."""
        return self.discriminator_factor * (self._distance(real, True) + self._distance(fake, False))

    def generator(self, fake: Tensor, wanted: bool = True) -> Tensor:
        """The generator's loss, a scalar, from the discriminator's outputs on synthetic images.

        ``wanted`` is the verdict the generator seeks: real, or (where two generators compete) synthetic.
        """
        if self.kind == "hinge":
            return -fake.mean() if wanted else fake.mean()
        return self._distance(fake, wanted)


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two images of one shape, the unit being theirs."""
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    return F.l1_loss(prediction, target)


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of named losses by named weights.

    A loss whose weight is zero need not be computed. Otherwise the names must agree, so that a mistyped name
    never switches a loss off in silence.

    Raises:
        ConfigError: for a loss without a weight, or a weight (not zero) without a loss.
    """
    for name in losses:
        if name not in weights:
            raise ConfigError(
                f"loss_weights::{name}", "every loss has a weight", f"weights for {sorted(weights)}", "add the weight"
            )
    for name, weight in weights.items():
        if weight and name not in losses:
            raise ConfigError(
                f"loss_weights::{name}",
                f"every weight has a loss, one of {sorted(losses)}",
                weight,
                "remove or rename it",
            )
    return sum((weights[name] * loss for name, loss in losses.items()), start=torch.zeros(()))

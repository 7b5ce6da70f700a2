"""The interface of a GAN method, by which the trainer trains it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import AdversarialLoss

Batch = Mapping[str, Tensor]
Losses = dict[str, Tensor]


class GanMethod(nn.Module):
    """All networks of a method and its three functions: generation and the losses of both kinds of networks.

    Precision, freezing and bookkeeping are the tasks of :class:`common.engines.SynthesisTrainer`.

    Args:
        generators: networks by name; the first is the one deployed, the ``network_def`` of the bundle.
        discriminators: networks by name; empty for a method without an adversary.
        loss_weights: weight of each of the generators' losses by its name. A loss of weight 0 is not computed, and a
            discriminator that no loss uses is not trained.
        adversarial_loss: of the discriminators and of the generators against them; None for a method without.

    Raises:
        ConfigError: for weights that are all 0.
    """

    adversarial_terms: tuple[str, ...] = ("adversarial", "feature_matching")
    """Losses of the generators that need a discriminator."""
    generators_first = False
    """Whether a step updates the generators before the discriminators, both on the same synthetic images."""

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        discriminators: Mapping[str, nn.Module],
        loss_weights: Mapping[str, float],
        adversarial_loss: AdversarialLoss | None = None,
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleDict(generators)
        self.discriminators = nn.ModuleDict(discriminators)
        self.loss_weights = dict(loss_weights)
        if self.loss_weights and not any(self.loss_weights.values()):
            raise ConfigError("--loss_weights", "has a weight above 0", dict(loss_weights), "give a loss to train by")
        self.adversarial_loss = adversarial_loss

    @property
    def deployed(self) -> nn.Module:
        """The one network that inference uses."""
        return next(iter(self.generators.values()))

    @property
    def variation(self) -> Hashable:
        """What a step depends on besides the shapes of its batch; each value has its own recorded CUDA graph."""
        return None

    def trained(self) -> list[nn.Module]:
        """The networks that steps call, each of which may be compiled."""
        return [*self.generators.values(), *self.discriminators.values()]

    def kept(self) -> dict[str, nn.Module]:
        """Networks whose weights are saved at the best validation, by file name; ``model`` is the deployed one."""
        return {"model": self.deployed}

    def uses(self, loss: str) -> bool:
        """Whether a loss has a weight other than zero."""
        return bool(self.loss_weights.get(loss))

    @property
    def has_adversary(self) -> bool:
        """Whether a loss of the generators needs a discriminator, which is then trained."""
        return any(self.uses(name) for name in self.adversarial_terms)

    def begin_step(self, step: int) -> None:
        """Tell the adversarial loss how many steps have begun; nothing where nothing of it fades."""
        if self.adversarial_loss is not None and self.adversarial_loss.instance_noise:
            self.adversarial_loss.step.fill_(step - 1)

    def take_measures(self) -> Losses:
        """What the step has found beside its losses, such as accuracies; the next one begins anew."""
        if self.adversarial_loss is None:
            return {}
        found, self.adversarial_loss.measures = self.adversarial_loss.measures, {}
        return found

    def bound_discriminators(self) -> None:
        """Clip the discriminators' weights after their update, where that is asked for."""
        if self.adversarial_loss is not None:
            self.adversarial_loss.clip(self.discriminators)

    @contextmanager
    def frozen_discriminators(self) -> Iterator[None]:
        """Context of the generators' step, in which discriminators pass gradients on but collect none."""
        self.discriminators.requires_grad_(False)
        try:
            yield
        finally:
            self.discriminators.requires_grad_(True)

    def generate(self, batch: Batch) -> Losses:
        """Synthesise from a batch; ``pred`` is what inference would return. Called once in each step."""
        raise NotImplementedError

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Named losses of the discriminators; the fakes carry no gradient. Empty: no discriminator is trained."""
        raise NotImplementedError

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Named losses of the generators, unweighted."""
        raise NotImplementedError

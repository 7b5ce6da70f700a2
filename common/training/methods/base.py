"""The interface of a GAN method, by which the trainer trains it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ...errors import ConfigError
from ...losses import AdversarialLoss, weighted_losses

Batch = Mapping[str, Tensor]
Losses = dict[str, Tensor]


class GanMethod(nn.Module):
    """All networks of a method and its three functions: generation and the losses of both kinds of networks.

    Precision, freezing and bookkeeping are the tasks of :class:`common.training.SynthesisTrainer`.

    Args:
        generators: networks by name; the first is the one deployed, the ``network_def`` of the bundle.
        discriminators: networks by name; empty for a method without an adversary.
        losses: of the generators, by their names: ``weight``, a ``function`` of prediction and target unless the method
            computes the loss itself, and the ``keys`` of a batch that it gets by keyword. A loss of weight 0 is not
            computed, unless a method gets it in one pass with another; a discriminator without a loss is not trained.
        adversarial_loss: of the discriminators and of the generators against them; None for a method without.
        place: id of the losses in messages.

    Raises:
        ConfigError: see :func:`common.losses.weighted_losses`; or a function has a weight where images are not paired.
    """

    terms: tuple[str, ...] = ()
    """Losses that the method computes itself; all others have a function."""
    adversarial_terms: tuple[str, ...] = ("adversarial", "feature_matching")
    """Losses of the generators that need a discriminator."""
    paired = True
    """Whether the label of a batch is the true target of its image, so that functions can compare them."""
    generators_first = False
    """Whether a step updates the generators before the discriminators, both on the same synthetic images."""

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        discriminators: Mapping[str, nn.Module],
        losses: Mapping[str, Mapping[str, Any]],
        adversarial_loss: AdversarialLoss | None = None,
        place: str = "--losses",
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleDict(generators)
        self.discriminators = nn.ModuleDict(discriminators)
        self.place = place
        self.losses = weighted_losses(losses, self.terms, place)
        self.loss_weights = {name: loss.weight for name, loss in self.losses.items()}
        for name, loss in self.losses.items():
            if loss.weight and loss.function is not None and not self.paired:
                remedy = "set its weight to 0, or train on registered pairs"
                raise ConfigError(f"images that are not paired cannot be compared (from {place}::{name})", remedy)
        self.adversarial_loss = adversarial_loss

    @property
    def deployed(self) -> nn.Module:
        """The one network that inference uses."""
        return next(iter(self.generators.values()))

    @property
    def is_in_last_part(self) -> bool:
        """Whether what is trained now is what the training ends with, of a method in several parts."""
        return True

    @property
    def variation(self) -> Hashable:
        """What a step depends on besides the shapes of its batch; each value has its own recorded CUDA graph."""
        return None

    def trained(self) -> list[nn.Module]:
        """The networks that steps call; each may be compiled."""
        return [*self.generators.values(), *self.discriminators.values()]

    def networks_to_save(self) -> dict[str, nn.Module]:
        """Networks whose weights are saved at the best validation, by file name; ``model`` is the deployed one."""
        return {"model": self.deployed}

    def uses(self, loss: str) -> bool:
        """Whether a loss has a weight other than zero."""
        return bool(self.loss_weights.get(loss))

    def require_keys(self, batch: Collection[str]) -> None:
        """Refuse losses that need what a batch does not have.

        Raises:
            ConfigError: naming the loss and the keys that there are.
        """
        for name, loss in self.losses.items():
            if missing := [key for key in loss.keys if self.uses(name) and key not in batch]:
                remedy = f"a batch has {', '.join(batch)}"
                raise ConfigError(f"no {missing[0]} in the training data (from {self.place}::{name}::keys)", remedy)

    @property
    def has_adversary(self) -> bool:
        """Whether a loss of the generators needs a discriminator, which is then trained."""
        return any(self.uses(name) for name in self.adversarial_terms)

    def begin_step(self, step: int) -> None:
        """Enter the part of the training that a step, from 1, belongs to; no-op of a method in one part."""

    def take_measures(self) -> Losses:
        """What the step has measured next to its losses, such as accuracies; the next one starts without."""
        if self.adversarial_loss is None:
            return {}
        measures, self.adversarial_loss.measures = self.adversarial_loss.measures, {}
        return measures

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
        return {}

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Named losses of the generators that have a weight, unweighted, in the order of the settings."""
        return {name: self.loss(name, batch, fakes) for name in self.loss_weights if self.uses(name)}

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """A loss by its name: here by its function, in a method also each of its ``terms``."""
        return self.distance(name, batch, fakes["pred"])

    def distance(self, name: str, batch: Batch, pred: Tensor) -> Tensor:
        """The function of a loss, of a synthetic target (B, C, ...) and the true one."""
        function, label = self.losses[name].function, batch["label"]
        assert function is not None, name
        if pred.shape[1] != label.shape[1]:
            fault = f"the network makes {pred.shape[1]} channels, but the targets have {label.shape[1]}"
            raise ConfigError(fault, "give targets of so many, or change the network's out_channels")
        if isinstance(function, nn.Module):  # not one of the method's own: neither trained nor saved with it
            function.to(pred.device)
        return function(pred, label, **{key: batch[key] for key in self.losses[name].keys})

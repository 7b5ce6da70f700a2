"""The interface of a GAN method, by which the trainer trains it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

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
    """

    generators_first = False
    """Whether a step updates the generators before the discriminators, both on the same synthetic images."""

    def __init__(
        self,
        generators: Mapping[str, nn.Module],
        discriminators: Mapping[str, nn.Module],
        loss_weights: Mapping[str, float],
    ) -> None:
        super().__init__()
        self.generators = nn.ModuleDict(generators)
        self.discriminators = nn.ModuleDict(discriminators)
        self.loss_weights = dict(loss_weights)

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

"""Stage-by-stage training of a cascade, each stage by its own GAN method, with the earlier stages frozen."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...losses import AdversarialLoss
from ...networks.cascade import Cascade
from .base import Batch, GanMethod, Losses
from .conditional import ConditionalGan


class StagedMethod(GanMethod):
    """Trains the stages of a cascade one after the other, each by its own method, the earlier ones frozen.

    From the second stage on, a batch holds ``context``, the output of the stage before at the same place; without, the
    stages before make it of the batch, which is the same where samples are whole images.

    Args:
        cascade: the deployed network.
        methods: one for each stage, which is its generator.
    """

    stage_epochs: Tensor

    def __init__(self, cascade: Cascade, methods: Sequence[GanMethod]) -> None:
        discriminators = {f"stage_{number}": method.discriminators for number, method in enumerate(methods, 1)}
        super().__init__({"cascade": cascade}, discriminators, {})
        self.methods = tuple(methods)  # their networks are registered above
        self.register_buffer("stage_epochs", torch.tensor(0))  # a resumed run must have the same
        self.enter(0)

    @property
    def cascade(self) -> Cascade:
        """The deployed network."""
        assert isinstance(self.deployed, Cascade)
        return self.deployed

    @property
    def is_in_last_part(self) -> bool:
        """Whether the last stage is trained."""
        return self.stage + 1 == len(self.methods)

    @property
    def variation(self) -> int:
        """The stage."""
        return self.stage

    def trained(self) -> list[nn.Module]:
        """The stages and their discriminators, which steps call one by one."""
        return [network for method in self.methods for network in method.trained()]

    def require_keys(self, batch: Collection[str]) -> None:
        """Of every stage, before the first one begins; the second one brings the context."""
        for method in self.methods:
            method.require_keys([*batch, "context"])

    def enter(self, stage: int) -> None:
        """Train this stage from now on (0 is the first); it and those before it are in use."""
        self.stage = stage
        self.cascade.in_use.fill_(stage + 1)
        self.loss_weights = self.methods[stage].loss_weights
        self.adversarial_loss = self.methods[stage].adversarial_loss
        self.train(self.training)

    def train(self, mode: bool = True) -> StagedMethod:
        """Frozen stages stay in evaluation mode: their batch statistics are as fixed as their weights."""
        super().train(mode)
        for frozen in self.cascade.stages[: self.stage]:
            frozen.eval()
        return self

    def generate(self, batch: Batch) -> Losses:
        """Output of the stage in training for the source and its context; discriminators take the source alone."""
        if self.stage > 0:
            source = batch["image"]
            context = batch["context"] if "context" in batch else self._context(source)
            batch = {**batch, "image": torch.cat([source, context], dim=1)}
        return self.methods[self.stage].generate(batch)

    @torch.no_grad()
    def _context(self, source: Tensor) -> Tensor:
        context: Tensor = self.cascade.stages[0](source)
        for stage in self.cascade.stages[1 : self.stage]:
            context = stage(torch.cat([source, context], dim=1))
        return context

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Discriminator losses of the stage's method."""
        return self.methods[self.stage].discriminator_losses(batch, fakes)

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Generator losses of the stage's method."""
        return self.methods[self.stage].generator_losses(batch, fakes)


class StagedGan(StagedMethod):
    """A :class:`~common.training.methods.conditional.ConditionalGan` with its own discriminator for every stage of a
    cascade.

    Args:
        network: the cascade.
        discriminator: of the first stage; those of the others start as copies of it.
        losses: of every stage, or with ``by_stage`` those of each, under names of the stages in their order.
        adversarial_loss: on the discriminators' logits.
        conditional: whether the discriminators take the source as well as the target.
        by_stage: whether ``losses`` names the losses of each stage.

    Raises:
        ConfigError: a stage has no losses.
    """

    def __init__(
        self,
        network: Cascade,
        discriminator: nn.Module,
        losses: Mapping[str, Any],
        adversarial_loss: AdversarialLoss,
        conditional: bool = True,
        by_stage: bool = False,
    ) -> None:
        stages = len(network.stages)
        named = [("--losses", losses)] * stages
        if by_stage:
            named = [(f"--losses::{name}", each) for name, each in losses.items()]
        if len(named) < stages:
            fault = f"losses of {len(named)} stages where there are {stages} (from --losses)"
            raise ConfigError(fault, "add a stage's")
        discriminators = [discriminator, *(copy.deepcopy(discriminator) for _ in range(1, stages))]
        methods = [
            ConditionalGan(stage, each_discriminator, each, adversarial_loss, conditional, place)
            for stage, each_discriminator, (place, each) in zip(network.stages, discriminators, named, strict=False)
        ]
        super().__init__(network, methods)

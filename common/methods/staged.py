"""Stage-by-stage training of a cascade, each stage by its own GAN method, with the earlier stages frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.methods.base import Batch, GanMethod, Losses
from common.networks.cascade import Cascade


class StagedMethod(GanMethod):
    """Trains the stages of a cascade one after the other, each by its own method, the earlier ones frozen.

    From the second stage on, a batch holds ``context``, the output of the stage before at the same place.

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
    def variation(self) -> int:
        """The stage."""
        return self.stage

    def trained(self) -> list[nn.Module]:
        """The stages and their discriminators, which steps call one by one."""
        return [network for method in self.methods for network in method.trained()]

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
            batch = {**batch, "image": torch.cat([batch["image"], batch["context"]], dim=1)}
        return self.methods[self.stage].generate(batch)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Discriminator losses of the stage's method."""
        return self.methods[self.stage].discriminator_losses(batch, fakes)

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Generator losses of the stage's method."""
        return self.methods[self.stage].generator_losses(batch, fakes)

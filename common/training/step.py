"""The training step: order of updates, precision, freezing. The only place with ``backward`` and optimiser steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from monai.engines.utils import IterationEvents
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import devices
from ..losses import weighted_sum
from ..runs.precision import autocast
from .methods.base import GanMethod, Losses
from .nonfinite import FiniteWatch
from .small_maps import refuse_small_maps


class StepResult(NamedTuple):
    """Results of a step: ``pred`` (B, C, ...), every named loss, the generators' weighted sum, and what was measured
    next to them, such as discriminators' accuracies; all detached."""

    pred: Tensor
    losses: Losses
    total: Tensor
    measures: Losses


class GanStep:
    """Update a method's networks on one batch: one forward of the generators, then discriminators, then generators, or
    these two in the other order where the method has ``generators_first``.

    Nothing in it waits for the device or branches on a tensor's value, so that it can be captured as a graph.

    Args:
        method: the networks and losses.
        optimizers: ``generators`` and, where there are any, ``discriminators``.
        device: of the networks.
        precision: ``fp32``, ``bf16`` or ``fp16`` (autocast; fp16 with a gradient scaler).
        clip_norm: largest norm of a gradient, over the generators and over the discriminators (None: off).
        finite: records losses and gradients that are not finite, and keeps them from the weights.
        announce: called with the event of each completed forward, loss and backward.

    Raises:
        ConfigError: for another ``precision``; in a step, where gradients in bf16 would be wrong.
    """

    def __init__(
        self,
        method: GanMethod,
        optimizers: Mapping[str, Optimizer],
        device: torch.device,
        precision: str,
        clip_norm: float | None,
        finite: FiniteWatch,
        announce: Callable[[IterationEvents], None],
    ) -> None:
        self.method = method
        self.optimizers = optimizers
        self.device = device
        self.clip_norm = clip_norm
        self.finite = finite
        self.announce = announce
        self.autocast = autocast(device, precision)
        if device.type == "cpu" and precision == "bf16":
            refuse_small_maps(method)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def __call__(
        self, batch: Mapping[str, Tensor], window: int = 1, last: bool = True, critics_alone: bool = False
    ) -> StepResult:
        """Run the step.

        Args:
            batch: plain tensors on the device.
            window: batches accumulated in the coming update.
            last: whether this is the last of them.
            critics_alone: update the discriminators and not the generators, whose sum of losses is then 0.
        """
        if critics_alone:
            return self._critics(batch, window, last)
        with self.autocast:
            fakes = self.method.generate(batch)
        self.announce(IterationEvents.FORWARD_COMPLETED)
        if self.method.generators_first:
            losses, total = self._generators(batch, fakes, window, last)
            losses = self._discriminators(batch, fakes, window, last) | losses
        else:
            losses = self._discriminators(batch, fakes, window, last)
            generator_losses, total = self._generators(batch, fakes, window, last)
            losses |= generator_losses
        if last:
            self.scaler.update()
        return StepResult(fakes["pred"].detach(), losses, total, self.method.take_measures())

    def _critics(self, batch: Mapping[str, Tensor], window: int, last: bool) -> StepResult:
        with self.autocast, torch.no_grad():
            fakes = self.method.generate(batch)
        losses = self._discriminators(batch, fakes, window, last)
        if last:
            self.scaler.update()
        return StepResult(fakes["pred"], losses, torch.zeros((), device=self.device), self.method.take_measures())

    def _discriminators(self, batch: Mapping[str, Tensor], fakes: Losses, window: int, last: bool) -> Losses:
        with self.autocast:
            losses = self.method.discriminator_losses(batch, {key: fake.detach() for key, fake in fakes.items()})
            total = sum(losses.values(), start=torch.zeros((), device=self.device))
        if losses:
            self.finite.note(total)
            self._backward(total, window)
            if last:
                self._update("discriminators", self.method.discriminators)
        return {name: loss.detach() for name, loss in losses.items()}

    def _generators(self, batch: Mapping[str, Tensor], fakes: Losses, window: int, last: bool) -> tuple[Losses, Tensor]:
        with self.method.frozen_discriminators():
            with self.autocast:
                losses = self.method.generator_losses(batch, fakes)
                total = weighted_sum(losses, self.method.loss_weights)
            self.finite.note(total)
            self.announce(IterationEvents.LOSS_COMPLETED)
            self._backward(total, window)
            self.announce(IterationEvents.BACKWARD_COMPLETED)
        if last:
            self._update("generators", self.method.generators)
        return {name: loss.detach() for name, loss in losses.items()}, total.detach()

    def _backward(self, loss: Tensor, window: int) -> None:
        self.scaler.scale(loss / window).backward()

    def _update(self, name: str, networks: nn.Module) -> None:
        optimizer = self.optimizers[name]
        gradients = [p.grad for p in networks.parameters() if p.grad is not None]
        devices.average(gradients)
        self.scaler.unscale_(optimizer)
        if not self.scaler.is_enabled():  # a scaler skips the step itself when gradients overflow
            self.finite.note(nn.utils.get_total_norm(gradients))
        self.finite.disarm(gradients)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(networks.parameters(), self.clip_norm)
        self.scaler.step(optimizer)
        optimizer.zero_grad(set_to_none=True)

"""Image-to-image rectified flow with pixel reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...networks.flow_input import flow_input, flow_scheduler
from .base import Batch, GanMethod, Losses


class RectifiedFlow(GanMethod):
    """A network that sees the target through noise and learns to see it clearly (I2I-RFR, arXiv 2603.20186).

    With noise e and a time t, both drawn for each sample, y_t = (1 - t) e + t y and the loss is
    mean ||f(x, y_t, t) - y||^2 / max(1 - t, d)^2, that of the velocity (f - y_t) / (1 - t). At t = 0 the network sees
    the source alone: one step is a regression. :class:`common.stitching.FlowInferer` takes the steps.

    Named losses: ``flow``, and those with a function. There is no discriminator.

    Args:
        generator: takes :func:`common.networks.flow_input.flow_input`, (B, C + 2, ...) -> (B, 1, ...).
        losses: by their names, see :class:`common.training.methods.base.GanMethod`.
        time_floor: d, smallest 1 - t of the loss's weight, which has no bound without it; above 0, up to 1. With 1 all
            times weigh alike.

    Raises:
        ConfigError: for another ``time_floor``.
    """

    terms = ("flow",)

    def __init__(self, generator: nn.Module, losses: Mapping[str, Mapping[str, Any]], time_floor: float = 0.05) -> None:
        super().__init__({"generator": generator}, {}, losses)
        if not 0 < time_floor <= 1:
            raise ConfigError(f"time_floor is {time_floor}, not above 0 and up to 1", "pass a number such as 0.05")
        self.time_floor = time_floor

    def generate(self, batch: Batch) -> Losses:
        """The target as seen from a random place of the way, (B, 1, ...), and the time of it, (B,)."""
        target, scheduler = batch["label"], flow_scheduler()
        timesteps = scheduler.sample_timesteps(target)
        state = scheduler.add_noise(target, torch.randn_like(target), timesteps)
        time = 1 - timesteps / scheduler.num_train_timesteps
        return {"pred": self.generators["generator"](flow_input(batch["image"], state, time)), "time": time}

    def loss(self, name: str, batch: Batch, fakes: Batch) -> Tensor:
        """The error of the velocity, or a distance to the target."""
        if name != "flow":
            return super().loss(name, batch, fakes)
        squares = (fakes["pred"].float() - batch["label"].float()).square().flatten(1).mean(dim=1)
        return (squares / (1 - fakes["time"].float()).clamp(min=self.time_floor).square()).mean()

"""Inference of a rectified flow on whole volumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_dst_type
from torch import Tensor, nn

from ..errors import ConfigError
from ..networks.flow_input import FLOW_CHANNELS, flow_input, flow_scheduler
from ..seeds import derive
from .memory import FLOAT_BYTES
from .wrapped_inferer import WrappingInferer


class FlowInferer(WrappingInferer):
    """Takes a whole volume from noise to target in Euler steps, each stitched before the next.

    y_{t + h} = y_t + h (f(x, y_t, t) - y_t) / (1 - t), from noise at t = 0 to t = 1 (see
    :class:`common.training.methods.rectified_flow.RectifiedFlow`). Noise and state are volumes, so that slices and
    overlapping windows see the same ones: the result has no seams, and does not depend on how many are computed at a
    time.

    Args:
        inferer: (B, C + 2, X, Y, Z) -> (B, 1, X, Y, Z), applies the network once to a whole volume.
        steps: 1 is a regression; more add texture, and take as many times longer.
        seed: of the noise; another one gives another possible target. Same seed, shape and number in a batch, same
            noise, whatever the device.

    Raises:
        ConfigError: for no step, or an inferer that gives the network slabs of several slices, in which a state has
            no place.
    """

    def __init__(self, inferer: Inferer, steps: int = 3, seed: int = 0) -> None:
        super().__init__(inferer)
        if type(steps) is not int or not 1 <= steps <= 1000:
            raise ConfigError(f"--steps is {steps}, not 1 to 1000", "pass a number such as 3")
        if (neighbours := getattr(inferer, "neighbours", 1)) != 1:
            raise ConfigError(f"--neighbours is {neighbours}, but a flow takes 1", "omit the option")
        self.steps = steps
        self.seed = seed

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, 1, X, Y, Z), float32."""
        source = inputs.as_tensor() if hasattr(inputs, "as_tensor") else inputs
        scheduler = flow_scheduler(self.steps)
        timesteps = [*scheduler.timesteps.tolist(), 0]
        state = self._noise(source)
        for timestep, following in zip(timesteps[:-1], timesteps[1:], strict=True):
            time = 1 - torch.full((len(source),), timestep / scheduler.num_train_timesteps, device=source.device)
            made = self.inferer(flow_input(source, state, time), network, *args, **kwargs).to(state.device)
            velocity = (made - state) * (scheduler.num_train_timesteps / timestep)
            state, _ = scheduler.step(velocity, timestep, state, following)
        return convert_to_dst_type(state, inputs, dtype=torch.float32)[0]

    def _noise(self, source: Tensor) -> Tensor:
        shape = (1, *source.shape[2:])
        generators = (torch.Generator().manual_seed(derive(self.seed, number)) for number in range(len(source)))
        return torch.stack([torch.randn(shape, generator=each) for each in generators]).to(source.device)

    def bytes_needed(self, network: nn.Module, channels: int, shape: Sequence[int]) -> int:
        """That of the other inferer and of what it is given; see :meth:`common.stitching.PlaneInferer.bytes_needed`."""
        given = (channels + FLOW_CHANNELS + 4) * FLOAT_BYTES * math.prod(shape)  # input, noise, state, velocity
        return given + super().bytes_needed(network, channels + FLOW_CHANNELS, shape)

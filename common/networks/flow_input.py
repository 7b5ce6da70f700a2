"""What a network of a rectified flow takes: the source, the state on the way to the target, and the time."""

from __future__ import annotations

import torch
from monai.networks.schedulers import RFlowScheduler
from torch import Tensor

FLOW_CHANNELS = 2
"""Channels of the network's input besides those of the source: the state and the time."""


def flow_scheduler(steps: int = 1) -> RFlowScheduler:
    """MONAI's rectified flow, whose timesteps fall from 1000, noise, to 0, the target; the time is 1 - timestep / 1000.

    Args:
        steps: of the way from noise to target.
    """
    scheduler = RFlowScheduler()
    scheduler.set_timesteps(steps)
    return scheduler


def flow_input(source: Tensor, state: Tensor, time: Tensor) -> Tensor:
    """The input of a flow's network.

    Args:
        source: (B, C, H, W[, D]).
        state: (B, 1, H, W[, D]), between noise and target.
        time: (B,), 0 at noise and 1 at the target.

    Returns:
        (B, C + 2, H, W[, D]); the last channel is the time, in [-1, 1] as images are.
    """
    times = (2 * time - 1).to(source.dtype).reshape(-1, *[1] * (source.ndim - 1)).expand_as(state)
    return torch.cat([source, state.to(source.dtype), times], dim=1)

"""Networks of one or two weights, whose losses and gradients can be worked out by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def parameters(network: nn.Module) -> int:
    """Their number."""
    return sum(parameter.numel() for parameter in network.parameters())


class Scale(nn.Module):
    """``weight * x``; remembers what it was given."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return self.weight * x


class Pair(nn.Module):
    """``first x + second y`` of two channels x and y, (B, 2, H, W): tells their order; remembers what it was given."""

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([first, second]))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.given.append(x.detach())
        return (x * self.weight[:, None, None]).sum(1, keepdim=True)


def cycle_networks() -> dict[str, Scale]:
    """Two generators and two discriminators, each with a weight that tells it from its partner."""
    return {
        "generator_ab": Scale(0.5),
        "generator_ba": Scale(3.0),
        "discriminator_a": Scale(3.0),
        "discriminator_b": Scale(4.0),
    }

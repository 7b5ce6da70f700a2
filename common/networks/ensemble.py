"""Several trained networks of one kind as one."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .strict_loading import refuse_other_weights


class NetworkEnsemble(nn.Module):
    """Mean of the outputs of networks that were trained apart, such as those of several folds.

    Each output is first brought to a common scale, ``gain`` times it plus ``offset``, since networks of z-scores have
    that of their own training targets. Both are 1 and 0 where there is nothing to bring.

    Args:
        network: (B, C, ...) -> (B, C', ...), copied for each member.
        members: how many.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(copy.deepcopy(network) for _ in range(members))
        self.register_buffer("gain", torch.ones(members))
        self.register_buffer("offset", torch.zeros(members))
        refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The mean, (B, C', ...)."""
        total = torch.zeros((), device=x.device)
        for number, member in enumerate(self.members):
            total = total + self.gain[number] * member(x) + self.offset[number]
        return total / len(self.members)

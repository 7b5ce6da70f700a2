"""Cascade inference on whole volumes, each stage stitched before the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from common.errors import DataError


class CascadeInferer(Inferer):
    """Stitches the stages of a :class:`common.networks.cascade.Cascade` one after the other.

    A stage takes the source and the whole output of the stage before: at the edge of a patch its context includes the
    neighbouring patches, unlike in a cascade applied patch by patch.

    Args:
        inferer: applies one network to whole volumes.
    """

    def __init__(self, inferer: Inferer) -> None:
        super().__init__()
        self.inferer = inferer

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z) by the stages in use.

        Raises:
            DataError: for another number of channels than the network takes.
        """
        cascade: Any = network
        if inputs.shape[1] != cascade.in_channels:
            rule = f"has the {cascade.in_channels} channels of the network"
            raise DataError("source", rule, inputs.shape[1], "correct source, or train with these channels")
        first, *others = list(cascade.stages)[: int(cascade.in_use)]
        output: Tensor = self.inferer(inputs, first, *args, **kwargs)
        for stage in others:
            output = self.inferer(torch.cat([inputs, output.to(inputs.device)], dim=1), stage, *args, **kwargs)
        return output

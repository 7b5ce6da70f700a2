"""Rescaling of z-score predictions to the unit of the training targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .wrapped_inferer import WrappingInferer


class TargetScaleInferer(WrappingInferer):
    """Rescales the z-scores of another inferer to the unit of the training targets.

    Mean and standard deviation are the buffer ``target_scale`` of the network that is passed to the call: servers
    load weights into a copy of ``network_def``, which no transform of the configuration sees.

    Args:
        inferer: (B, C, X, Y, Z) -> (B, C', X, Y, Z), z-scores.
    """

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Infer (B, C, X, Y, Z) -> (B, C', X, Y, Z) in the unit of the targets."""
        owner: Any = network
        mean, deviation = owner.target_scale.tolist()
        scores: Tensor = self.inferer(inputs, network, *args, **kwargs)
        return scores.mul_(deviation).add_(mean)  # the volume is the inferer's own

"""The sum of named losses, whose weights are settings."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from common.errors import ConfigError


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The sum of named losses by named weights.

    A loss whose weight is zero need not be computed. Otherwise the names must agree, so that a mistyped name
    never silently switches a loss off.

    Raises:
        ConfigError: for a loss without a weight, or a weight (not zero) without a loss.
    """
    for name in losses:
        if name not in weights:
            raise ConfigError(
                f"loss_weights::{name}", "every loss has a weight", f"weights for {sorted(weights)}", "add the weight"
            )
    for name, weight in weights.items():
        if weight and name not in losses:
            raise ConfigError(
                f"loss_weights::{name}",
                f"every weight has a loss, one of {sorted(losses)}",
                weight,
                "remove or rename it",
            )
    return sum((weights[name] * loss for name, loss in losses.items()), start=torch.zeros(()))

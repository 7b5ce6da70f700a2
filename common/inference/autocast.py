"""An inferer under mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from ..runs.precision import autocast


class AutocastInferer(Inferer):
    """Wraps an inferer in autocast.

    Args:
        inferer: maps (B, C, ...) to (B, C', ...).
        device: of the network.
        precision: ``fp32`` (no autocast), ``bf16`` or ``fp16``.

    Raises:
        ConfigError: for another precision.
    """

    def __init__(self, inferer: Callable[..., Any], device: torch.device, precision: str) -> None:
        super().__init__()
        self.inferer = inferer
        self.autocast = autocast(device, precision)

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Infer under autocast; the result is float32."""
        with self.autocast:
            inferred: Tensor = self.inferer(inputs, network, *args, **kwargs)
        return inferred.float()

"""In how many bits networks compute."""

from __future__ import annotations

import torch

from common.errors import ConfigError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context within which networks compute in a precision; ``fp32`` changes nothing.

    Raises:
        ConfigError: for another than ``fp32``, ``bf16`` and ``fp16``.
    """
    if precision not in PRECISIONS:
        raise ConfigError("precision", f"is one of {', '.join(PRECISIONS)}", repr(precision), "choose one of them")
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "fp32")

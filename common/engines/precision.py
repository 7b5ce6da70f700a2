"""Mixed precision."""

from __future__ import annotations

import torch

from common.errors import ConfigError

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision; that of ``fp32`` changes nothing.

    Raises:
        ConfigError: for another than ``fp32``, ``bf16`` and ``fp16``.
    """
    if precision not in PRECISIONS:
        raise ConfigError("precision", f"is one of {', '.join(PRECISIONS)}", repr(precision), "choose one of them")
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "fp32")

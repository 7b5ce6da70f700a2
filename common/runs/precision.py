"""Mixed precision."""

from __future__ import annotations

import logging

import torch

from ..errors import ConfigError, choose

logger = logging.getLogger(__name__)

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
WITHOUT_HALF = ("NO AVX", "AVX2")
"""What PyTorch calls processors whose convolutions have no instructions for 16 bits: they emulate them."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision; that of ``fp32`` changes nothing.

    Warns of a processor on which 16 bits are slower than 32.

    Raises:
        ConfigError: for another than ``fp32``, ``bf16`` and ``fp16``.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision is {precision!r}", choose(PRECISIONS))
    if precision != "fp32" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in WITHOUT_HALF:
        logger.warning(
            f"--precision {precision} takes some ten times as long as fp32 on this processor, which has no "
            "instructions for it: use fp32, which is as good"
        )
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "fp32")

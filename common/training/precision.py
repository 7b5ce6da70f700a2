"""Mixed precision."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..errors import ConfigError, choose

logger = logging.getLogger(__name__)

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
WITHOUT_HALF = ("NO AVX", "AVX2")
"""What PyTorch calls processors whose convolutions have no instructions for 16 bits: they emulate them."""
LEAST_SIDES = {1: (1, 1), 2: (2, 1), 3: (1, 3)}
"""Voxels of a side of a convolution's input and output, by dimensions, from which its gradients in bf16 are right.

Below, PyTorch 2.13 took values of uninitialised memory on a CPU, finite or not, with kernels of 3 and 4; in fp16 it
did not.
"""


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


def refuse_small_maps(networks: nn.Module) -> None:
    """Let convolutions refuse maps whose gradient in bf16 is wrong on a CPU.

    They raise ConfigError in the forward pass of a training.
    """
    for layer in networks.modules():
        if isinstance(layer, _ConvNd) and max(layer.kernel_size) > 1:
            layer.register_forward_hook(_require_large)


def _require_large(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
    if not output.requires_grad or output.dtype != torch.bfloat16:
        return
    sides = [min(maps.shape[2:]) for maps in (inputs[0], output)]
    if any(side < least for side, least in zip(sides, LEAST_SIDES[output.ndim - 2], strict=True)):
        fault = f"a convolution has a map of {min(sides)} voxels a side, too few for gradients in bf16 on a CPU"
        raise ConfigError(fault, "set --precision fp32, or use larger patches")

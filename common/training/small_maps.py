"""Convolutions whose gradients in bf16 are wrong on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..errors import ConfigError

LEAST_SIDES = {1: (1, 1), 2: (2, 1), 3: (1, 3)}
"""Voxels of a side of a convolution's input and output, by dimensions, from which its gradients in bf16 are right.

Below, PyTorch 2.13 took values of uninitialised memory on a CPU, finite or not, with kernels of 3 and 4; in fp16 it
did not.
"""


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

"""Hidden features of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVATIONS = (nn.LeakyReLU, nn.ReLU)


def hidden_features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Outputs of each activation of a network for images (B, ...), from the input on; computed uncompiled."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        found.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in network.modules() if isinstance(layer, ACTIVATIONS)]
    try:
        with torch.compiler.set_stance("force_eager"):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found

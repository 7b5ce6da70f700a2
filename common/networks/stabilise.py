"""Changes to a discriminator that keep its game with a generator stable."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normalised

from ..errors import ConfigError, choose
from .initialisation import normal_

NORMS = ("batch", "instance", "none")
KERNELS, KERNEL_SIZE = 100, 5
"""Of minibatch discrimination, B and C of Salimans et al. 2016, in their code."""


class MinibatchDiscrimination(nn.Module):
    """Appends how close each image is to the others of a batch, (B, C) to (B, C + K).

    With f the features of an image, M = f T and a row M_k of M for each of K kernels, that is
    sum_j exp(-|M_k(i) - M_k(j)|_1), j = i included (Salimans et al. 2016, section 3.2). T is learnt. A discriminator
    sees by it a generator that makes the same image again and again.

    Args:
        features: of an image, C.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.tensor = nn.Linear(features, KERNELS * KERNEL_SIZE, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features and their closeness."""
        rows = self.tensor(x).float().unflatten(1, (-1, KERNEL_SIZE))
        closeness = (-(rows[:, None] - rows).abs().sum(dim=3)).exp().sum(dim=1).to(x.dtype)
        return torch.cat([x, closeness], dim=1)


def comparing(last: nn.Linear) -> nn.Sequential:
    """A discriminator's last layer, drawn anew, after :class:`MinibatchDiscrimination`."""
    features = last.in_features
    layers = nn.Sequential(MinibatchDiscrimination(features), nn.Linear(features + KERNELS, last.out_features))
    normal_(layers[1])
    return layers


def stabilise(layers: nn.Sequential, norm: str = "batch", spectral_norm: bool = False) -> None:
    """Change a discriminator of one chain of layers that ends in a convolution or a fully connected layer.

    Args:
        layers: with ``batch`` normalisation.
        norm: of all layers: ``batch``; ``instance``, with scale and shift; or ``none``, where convolutions that had one
            stay without bias.
        spectral_norm: divide the weights of every layer by their largest singular value (Miyato et al. 2018).

    Raises:
        ConfigError: for another ``norm``.
    """
    if norm not in NORMS:
        raise ConfigError(f"--discriminator_def::norm is {norm!r}", choose(NORMS))
    for parent in list(layers.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, _BatchNorm) and norm != "batch":
                setattr(parent, name, _instance_norm(layer) if norm == "instance" else nn.Identity())
    if spectral_norm:
        for layer in layers.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d)):
                spectrally_normalised(layer)


def _instance_norm(batch_norm: _BatchNorm) -> nn.Module:
    kind = nn.InstanceNorm3d if isinstance(batch_norm, nn.BatchNorm3d) else nn.InstanceNorm2d
    return kind(batch_norm.num_features, affine=True)

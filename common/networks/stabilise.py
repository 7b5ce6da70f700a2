"""Changes to a discriminator that keep its game with a generator stable."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normalised

from ..errors import ConfigError, choose

NORMS = ("batch", "instance", "none")


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

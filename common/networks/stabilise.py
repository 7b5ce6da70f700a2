"""Changes to a discriminator that keep its game with a generator stable."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Norm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normalised

from ..errors import ConfigError, choose
from .initialisation import normal_

NORMS = ("batch", "instance", "none")
EPSILON = 1e-8
"""Under the square root, whose gradient is infinite where all images of a batch are alike."""


class MinibatchDeviation(nn.Module):
    """Appends how much the images of a batch differ (Karras et al. 2018, section 3), (B, C, ...) to (B, C + 1, ...).

    That is one number, the mean over features and voxels of their standard deviation over the batch, by which a
    discriminator sees a generator that makes the same image again and again; 0 for a batch of one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Features and their deviation."""
        deviation = (x.float().var(dim=0, correction=0) + EPSILON).sqrt().mean().to(x.dtype)
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


def stabilise(
    layers: nn.Sequential, norm: str = "batch", spectral_norm: bool = False, minibatch_std: bool = False
) -> None:
    """Change a discriminator of one chain of layers that ends in a convolution or a fully connected layer.

    Args:
        layers: with ``batch`` normalisation.
        norm: of all layers: ``batch``; ``instance``, with scale and shift; or ``none``, where convolutions that had one
            stay without bias.
        spectral_norm: divide the weights of every layer by their largest singular value (Miyato et al. 2018).
        minibatch_std: give the last layer the deviation over the batch too, see :class:`MinibatchDeviation`.

    Raises:
        ConfigError: for another ``norm``.
    """
    if norm not in NORMS:
        raise ConfigError(f"--discriminator_def::norm is {norm!r}", choose(NORMS))
    for place, layer in enumerate(layers):
        if isinstance(layer, _BatchNorm) and norm != "batch":
            dimensions = 3 if isinstance(layer, nn.BatchNorm3d) else 2
            instance = Norm[Norm.INSTANCE, dimensions](layer.num_features, affine=True)
            layers[place] = instance if norm == "instance" else nn.Identity()
    if minibatch_std:
        last = _with_one_more_input(layers[-1])
        normal_(last)
        layers[-1] = nn.Sequential(MinibatchDeviation(), last)
    if spectral_norm:
        for layer in layers.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d)):
                spectrally_normalised(layer)


def _with_one_more_input(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features + 1, layer.out_features)
    assert isinstance(layer, (nn.Conv2d, nn.Conv3d))
    return type(layer)(layer.in_channels + 1, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]

"""Changes to a discriminator that keep its game with a generator stable."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Norm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm as spectrally_normalised

from ..errors import ConfigError, choose
from .initialisation import normal_
from .virtual_norm import ReferenceBatch, VirtualNorm, WithoutReference

NORMS = ("batch", "instance", "virtual", "none")
EPSILON = 1e-8
"""Under the square root, whose gradient is infinite where all images of a batch are alike."""
KERNELS, KERNEL_SIZE = 100, 5
"""Of minibatch discrimination, B and C of Salimans et al. 2016, in their code."""


class MinibatchDeviation(nn.Module):
    """Appends how much the images of a batch differ (Karras et al. 2018, section 3), (B, C, ...) to (B, C + 1, ...).

    That is one number, the mean over features and voxels of their standard deviation over the batch, by which a
    discriminator sees a generator that makes the same image again and again; 0 for a batch of one.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Features and their deviation."""
        deviation = (x.float().var(dim=0, correction=0) + EPSILON).sqrt().mean().to(x.dtype)
        return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """Appends how close each image is to the others of a batch, (B, C, ...) to (B, C + K, ...).

    With f the features of an image (means over its voxels), M = f T and a row M_k of M for each of K kernels, that is
    sum_j exp(-|M_k(i) - M_k(j)|_1), j = i included (Salimans et al. 2016, section 3.2). T is learnt.

    Args:
        features: of an image, C.
        kernels: rows of M, K.
        size: columns of M.
    """

    def __init__(self, features: int, kernels: int = KERNELS, size: int = KERNEL_SIZE) -> None:
        super().__init__()
        self.kernels = kernels
        self.tensor = nn.Linear(features, kernels * size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features and their closeness."""
        rows = self.tensor(x.reshape(*x.shape[:2], -1).mean(dim=2)).float().unflatten(1, (self.kernels, -1))
        closeness = (-(rows[:, None] - rows).abs().sum(dim=3)).exp().sum(dim=1).to(x.dtype)
        return torch.cat([x, closeness.reshape(*closeness.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1)


def stabilise(
    layers: nn.Sequential,
    norm: str = "batch",
    spectral_norm: bool = False,
    minibatch_std: bool = False,
    minibatch_discrimination: bool = False,
) -> None:
    """Change a discriminator of one chain of layers that ends in a convolution or a fully connected layer.

    Args:
        layers: with ``batch`` normalisation.
        norm: of all layers: ``batch``; ``instance``, with scale and shift; ``virtual``, by the first real batch, see
            :class:`common.networks.virtual_norm.VirtualNorm`; or ``none``, where convolutions that had one stay
            without bias.
        spectral_norm: divide the weights of every layer by their largest singular value (Miyato et al. 2018).
        minibatch_std: give the last layer the deviation over the batch too, see :class:`MinibatchDeviation`.
        minibatch_discrimination: and the closeness of the images, see :class:`MinibatchDiscrimination`.

    Raises:
        ConfigError: for another ``norm``.
    """
    if norm not in NORMS:
        raise ConfigError(f"--discriminator_def::norm is {norm!r}", choose(NORMS))
    reference = ReferenceBatch(layers)
    for parent in list(layers.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, _BatchNorm) and norm != "batch":
                setattr(parent, name, _norm(norm, layer, reference))
    if minibatch_std or minibatch_discrimination:
        layers[-1] = _of_a_batch(layers[-1], minibatch_std, minibatch_discrimination)
    if norm == "virtual":
        layers.insert(0, reference)
        layers[-1] = nn.Sequential(WithoutReference(reference), layers[-1])
    if spectral_norm:
        for layer in layers.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d)):
                spectrally_normalised(layer)


def _norm(norm: str, batch_norm: _BatchNorm, reference: ReferenceBatch) -> nn.Module:
    features = batch_norm.num_features
    if norm == "virtual":
        return VirtualNorm(features, reference)
    dimensions = 3 if isinstance(batch_norm, nn.BatchNorm3d) else 2
    return Norm[Norm.INSTANCE, dimensions](features, affine=True) if norm == "instance" else nn.Identity()


def _of_a_batch(layer: nn.Module, deviation: bool, discrimination: bool) -> nn.Sequential:
    """A layer with what compares the images of a batch in front of it."""
    assert isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d))
    features = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    compared: list[nn.Module] = [MinibatchDiscrimination(features)] if discrimination else []
    compared += [MinibatchDeviation()] if deviation else []
    last = _with_inputs(layer, features + KERNELS * discrimination + deviation)
    normal_(last)
    return nn.Sequential(*compared, last)


def _with_inputs(layer: nn.Linear | nn.Conv2d | nn.Conv3d, features: int) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.Linear(features, layer.out_features)
    return type(layer)(features, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]

"""A distance between images after a trained network has moved the synthetic one onto its misregistered target."""

from __future__ import annotations

import warnings

import torch
from monai.networks.blocks import Warp
from torch import Tensor, nn

from ..errors import ConfigError
from .distances import at_least_float32, l1, reduced


class RegisteredL1(nn.Module):
    """L = :func:`common.losses.l1` (G(y) o phi, T) + ``smoothness`` times the mean of |grad u|^2, summed
    over the axes, phi(x) = x + u(x).

    The displacement u, in voxels, is the output of a registration network for the synthetic image and its target, which
    is trained together with the generator. Both images lie on the target's grid. Source: RegGAN, Kong et al. 2021, with
    weights 20 and 10 of the two terms, that is a smoothness of 0.5; [measured] with it the generator leaves the shape
    to the registration, 234.8 HU by 166.5 with 10 (validation, docs/results/misregistration.md).

    A displacement that all images share costs nothing here: all synthetic images may drift together.

    Args:
        network: takes the synthetic images and their targets as channels, (B, 2 C, H, W[, D]), and gives the
            displacement in voxels, (B, 2 or 3, H, W[, D]).
        smoothness: weight of the smoothness, 0 or more.
        reduction: of the distance, see :func:`common.losses.l1`; with ``sum`` the smoothness is summed likewise.

    Raises:
        ConfigError: for a negative smoothness.
    """

    trained = True
    """Part of a training: neither frozen nor left out of its optimiser and checkpoints."""

    def __init__(self, network: nn.Module, smoothness: float = 10.0, reduction: str = "mean") -> None:
        super().__init__()
        if not smoothness >= 0:
            raise ConfigError(f"--losses::NAME::function::smoothness is {smoothness}, below 0", "pass 10, or 0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of MONAI, that it has no compiled extension
            self.warp = Warp()
        self.network, self.smoothness, self.reduction = network, smoothness, reduction

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]); raises as :func:`common.losses.l1`."""
        ours, theirs = at_least_float32(prediction), at_least_float32(target)
        displacement = at_least_float32(self.network(torch.cat([ours, theirs], dim=1)))
        steps = (displacement.diff(dim=axis).square().mean() for axis in range(2, displacement.ndim))
        rough = reduced(torch.stack(list(steps)).sum(), target, self.reduction)
        return l1(self.warp(ours, displacement), theirs, self.reduction) + self.smoothness * rough

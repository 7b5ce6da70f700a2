"""Spread of a voxel: how far the output moves when the input varies, or how much a restoration took away around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.networks.utils import eval_mode
from monai.utils import convert_to_dst_type
from scipy import ndimage
from torch import Tensor, nn

GAMMAS = (0.8, 1.25)
"""Contrasts of the varied inputs."""
SHIFT = 3
"""Voxels by which an input is moved along every axis: no multiple of a U-Net's pooling."""
PASSES = len(GAMMAS) + 2
"""Further passes of the network: its input with each contrast, moved, and mirrored left and right."""
VARIED, REMOVED = "varied", "removed"
SPREADS = (VARIED, REMOVED)
"""What a spread may be: how far outputs of varied inputs lie apart, or what a restoration removed around a voxel."""
REMOVED_VOXELS = 3.0
"""[chosen] standard deviation of the Gaussian over which what was removed is averaged: 1.5 to 5 cover alike."""


def spread_of(
    image: Tensor,
    prediction: np.ndarray,
    inferer: Callable[..., Tensor],
    network: nn.Module,
    restore: Callable[[Tensor], np.ndarray],
    kind: str = VARIED,
) -> np.ndarray:
    """Root mean square of the varied outputs' difference from the prediction, float32 (X, Y, Z), in the target's unit.

    Of the other ``kind`` it is the local one of source minus prediction, without a further pass; source and target have
    one unit and scale.

    Args:
        image: (C, X, Y, Z), as the network takes it, on its device.
        prediction: (X, Y, Z) on the source's grid, in the target's unit.
        inferer: (B, C, X, Y, Z), network -> (B, C', X, Y, Z).
        network: with its weights loaded; it computes in eval mode, and keeps its own.
        restore: an output (C', X, Y, Z) to the grid and unit of the prediction.
        kind: one of :data:`SPREADS`.
    """
    if kind == REMOVED:
        return _removed_around(restore(convert_to_dst_type(image, image, dtype=torch.float32)[0]), prediction)
    squares = np.zeros(prediction.shape, dtype=np.float32)
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image

    def predict(varied: Tensor) -> Tensor:
        # MONAI's evaluator sets the network to training again after its own pass; batch statistics would change
        with eval_mode(network):
            return inferer(varied, network)

    for vary, undo in variations():
        output = undo(predict(vary(plain[None])))[0]
        # with the geometry of the image, since Invertd leaves a plain tensor as it is
        difference = restore(convert_to_dst_type(output, image, dtype=torch.float32)[0]) - prediction
        squares += np.square(difference, dtype=np.float32)
    return np.sqrt(squares / PASSES)


def _removed_around(source: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Local root mean square of source minus prediction, float32 (X, Y, Z): the noise that a restoration took away.

    The error that is left grows with it from scan to scan and from dose to dose, which a constant cannot follow.
    """
    squares = ndimage.gaussian_filter(np.square(source - prediction, dtype=np.float32), REMOVED_VOXELS)
    local: np.ndarray = np.sqrt(np.maximum(squares, 0))
    return local


def variations() -> list[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]]:
    """Changes of an input (B, C, X, Y, Z), each with what undoes it in the output."""
    axes = (2, 3, 4)
    moved = (lambda image: image.roll((SHIFT,) * 3, axes), lambda output: output.roll((-SHIFT,) * 3, axes))
    mirrored = (lambda image: image.flip(2), lambda output: output.flip(2))
    contrasts: list[Any] = [(lambda image, g=gamma: with_gamma(image, g), lambda output: output) for gamma in GAMMAS]
    return [*contrasts, moved, mirrored]


def with_gamma(image: Tensor, gamma: float) -> Tensor:
    """The range of every channel is kept, whatever the scale of the input."""
    low, high = image.amin((2, 3, 4), keepdim=True), image.amax((2, 3, 4), keepdim=True)
    return ((image - low) / (high - low).clamp_min(1.0e-6)) ** gamma * (high - low) + low

"""A perceptual loss: the distance between images in the features of a frozen network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import CheckpointError, ConfigError
from ..networks.vgg import LEAST_SIDE as VGG_SIDE
from ..networks.vgg import Vgg19
from ..segmenter import segmenter
from ..segmenter.network import LEAST_SIDE
from ..transforms.piecewise_linear import PiecewiseLinearScale
from .distances import at_least_float32, require_same_shape
from .features import hidden_features


class PerceptualDistance:
    """1 / (w h d) ||f(G(x)) - f(y)||^2, the mean squared difference of features of w x h pixels and d channels.

    Source: Yang et al. 2018, eq. 6 and 7, with f the last convolution of VGG-19. Its weights are not distributed here;
    without a file of them f is the mean over the activations of the small segmenter of tissues,
    :func:`common.segmenter.segmenter`. Of volumes all slices across the last axis are compared.

    Args:
        modality: of the images, ``CT`` or ``MR``; of the segmenter.
        window: unit of the segmenter at -1 and 1 of the images, such as HU; VGG-19 takes the images as they are.
        vgg: file with the ``state_dict`` of torchvision's ``vgg19``; conv1_1 to conv5_4 are used. None for
            the segmenter.

    Raises:
        ConfigError: another modality, a window that is none, and when called with slices below 16 pixels a side.
        CheckpointError: the file is missing, damaged or holds other weights.
    """

    def __init__(self, modality: str, window: Sequence[float], vgg: str | Path | None = None) -> None:
        self.scale = PiecewiseLinearScale(window) if vgg is None else None
        self.network = segmenter(modality) if vgg is None else vgg_of(vgg).eval().requires_grad_(False)
        self.least_side = LEAST_SIDE if vgg is None else VGG_SIDE
        self.compared = slice(None) if vgg is None else slice(-1, None)

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]), each channel being an image of its own.

        Raises:
            ConfigError: for slices smaller than the network takes.
            ValueError: for images of different shapes.
        """
        require_same_shape(prediction, target)
        if min(prediction.shape[2:4]) < self.least_side:
            needed = f"{self.least_side} pixels a side of a slice that the loss perceptual needs"
            fault = f"--patch_size {tuple(prediction.shape[2:])} is below the {needed}"
            raise ConfigError(fault, "enlarge it, or remove perceptual")
        self.network.to(prediction.device)
        with torch.no_grad():
            wanted = self._features(target)
        pairs = zip(self._features(prediction), wanted, strict=True)
        return torch.stack([F.mse_loss(at_least_float32(ours), at_least_float32(real)) for ours, real in pairs]).mean()

    def _features(self, images: Tensor) -> list[Tensor]:
        """Of the images in the unit of the network, as slices (N, 1, H, W)."""
        values = images if self.scale is None else self.scale.unscaled(images)
        slices = values.movedim(4, 1).flatten(0, 2) if values.ndim == 5 else values.flatten(0, 1)
        return hidden_features(self.network, slices[:, None])[self.compared]


def vgg_of(path: str | Path) -> Vgg19:
    """VGG-19 with the weights of a file, which may have the old format of torchvision's own.

    Raises:
        CheckpointError: the file is missing, damaged or holds other weights.
    """
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has a dozen types for a file that is no checkpoint
        # PyTorch's own text would advise to load the file unsafely
        reason = getattr(error, "strerror", None) or "not a file of weights"
        fault = f"cannot read --losses::NAME::function::vgg {path} ({reason})"
        raise CheckpointError(fault, "pass the state_dict of torchvision.models.vgg19, or null") from error
    network = Vgg19()
    network.load_published(weights if isinstance(weights, dict) else {}, f"--losses::NAME::function::vgg {path}")
    return network

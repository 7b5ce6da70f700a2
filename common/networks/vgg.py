"""The convolutions of VGG-19 (Simonyan and Zisserman 2015), whose features compare images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and convolutions between the poolings: configuration E of the paper, to conv5_4 and its ReLU."""
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of the colours of the photographs that torchvision's weights are trained on, which lie in [0, 1]."""
LEAST_SIDE = 16
"""Four poolings halve a slice."""


class Vgg19(nn.Module):
    """The 16 convolutions of VGG-19, each with its ReLU, by the names that they have in torchvision.

    Slices (B, 1, H, W) in [-1, 1], at least 16 pixels a side, are taken as grey photographs; the output is that of the
    last ReLU, (B, 512, H // 16, W // 16).
    """

    colours: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block, (count, convolutions) in enumerate(BLOCKS):
            layers += [nn.MaxPool2d(2)] if block else []
            for _ in range(convolutions):
                layers += [nn.Conv2d(before, count, 3, padding=1), nn.ReLU()]
                before = count
        self.features = nn.Sequential(*layers)
        self.register_buffer("colours", torch.tensor([MEAN, DEVIATION]).reshape(2, 1, 3, 1, 1), persistent=False)

    def forward(self, slices: Tensor) -> Tensor:
        """Features of the last ReLU."""
        mean, deviation = self.colours
        features: Tensor = self.features(((slices + 1) / 2 - mean) / deviation)
        return features

    def load_published(self, weights: Mapping[str, Any], source: str) -> None:
        """Load the convolutions of torchvision's ``vgg19``, whose classifier is not used.

        Args:
            weights: its ``state_dict``.
            source: their file, for messages.

        Raises:
            CheckpointError: a convolution is missing or of another shape.
        """
        own, remedy = self.state_dict(), "pass the state_dict of torchvision.models.vgg19"
        for name, value in own.items():
            given = weights.get(name)
            shape = tuple(given.shape) if isinstance(given, Tensor) else "none"
            if shape != tuple(value.shape):
                raise CheckpointError(f"{name} of {source} has shape {shape}, not {tuple(value.shape)}", remedy)
        self.load_state_dict({name: weights[name] for name in own})

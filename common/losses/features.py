"""Hidden features of a network, and the distance between images by those of a frozen one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from ..transforms.piecewise_linear import PiecewiseLinearScale, Point
from .distances import at_least_float32, require_same_shape

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


class FeatureDistance:
    """Mean over the activations of a frozen network of the difference between those of both images.

    Of volumes all slices across the last axis are compared.

    Args:
        network: takes slices (N, 1, H, W); frozen, in evaluation mode.
        difference: of two tensors of features, the mean over their elements.
        window: of the scale of the images, see :class:`common.transforms.piecewise_linear.PiecewiseLinearScale`; None
            for images in the unit that the network takes.
        points: of that scale.
        least_side: smallest side of a slice that the network takes.
        loss: name of the loss in messages.
        last_alone: compare the last activation, and no other.
    """

    def __init__(
        self,
        network: nn.Module,
        difference: Callable[[Tensor, Tensor], Tensor] = F.l1_loss,
        window: Sequence[float] | None = None,
        points: Sequence[Point] | None = (),
        least_side: int = 1,
        loss: str = "anatomy",
        last_alone: bool = False,
    ) -> None:
        self.network = network
        self.difference = difference
        self.scale = None if window is None else PiecewiseLinearScale(window, points)
        self.least_side = least_side
        self.loss = loss
        self.last_alone = last_alone

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The distance of two images (B, C, H, W[, D]), each channel being an image of its own.

        Raises:
            ConfigError: for slices smaller than the network takes.
            ValueError: for images of different shapes.
        """
        require_same_shape(prediction, target)
        if min(prediction.shape[2:4]) < self.least_side:
            needed = f"{self.least_side} pixels a side of a slice that the loss {self.loss} needs"
            fault = f"--patch_size {tuple(prediction.shape[2:])} is below the {needed}"
            raise ConfigError(fault, f"enlarge it, or remove {self.loss}")
        self.network.to(prediction.device)
        with torch.no_grad():
            wanted = self._features(target)
        pairs = zip(self._features(prediction), wanted, strict=True)
        distances = [self.difference(at_least_float32(ours), at_least_float32(theirs)) for ours, theirs in pairs]
        return torch.stack(distances).mean()

    def _features(self, images: Tensor) -> list[Tensor]:
        layers = hidden_features(self.network, self._slices(images))
        return layers[-1:] if self.last_alone else layers

    def _slices(self, images: Tensor) -> Tensor:
        """Images in the unit of the network, as slices (N, 1, H, W)."""
        values = images if self.scale is None else self.scale.unscaled(images)
        return values.movedim(4, 1).flatten(0, 2)[:, None] if values.ndim == 5 else values.flatten(0, 1)[:, None]

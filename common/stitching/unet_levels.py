"""A U-Net by its levels, so that deep ones can see a whole volume and outer ones a tile of it at a time."""

from __future__ import annotations

from typing import Any

from monai.networks.nets import BasicUNet
from torch import Tensor, nn

DEPTH = 4
"""Poolings of a BasicUNet."""
LOCAL = (nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d, nn.LeakyReLU, nn.ReLU, nn.PReLU)


class UNetLevels(nn.Module):
    """What a BasicUNet computes below some of its poolings; below none, all of it.

    For each number of levels, x -> ``up(x, deeper(down(x)))`` is the same, where ``deeper`` are the levels below those.

    Args:
        network: whose layers see no more than their neighbourhood; see :func:`unet_levels`.
        top: poolings above, 0 to 4; below any, input and output are features of the same size and number.

    Attributes:
        width: features of the outermost level here.
    """

    def __init__(self, network: BasicUNet, top: int = 0) -> None:
        super().__init__()
        parts: Any = network
        self.top = top
        self.first = nn.Identity() if top else parts.conv_0
        self.downs = nn.ModuleList(getattr(parts, f"down_{k}") for k in range(top + 1, DEPTH + 1))
        self.upcats = nn.ModuleList(getattr(parts, f"upcat_{k}") for k in range(DEPTH, top, -1))
        self.last = nn.Identity() if top else parts.final_conv
        self.width: int = (getattr(parts, f"down_{top}").convs if top else parts.conv_0).conv_1.conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """All levels in one pass."""
        return self.up(x, None, len(self.downs))

    def down(self, x: Tensor, levels: int) -> Tensor:
        """Features (B, C, X / 2 ** levels, ...) of a volume or tile (B, C', X, ...) so many poolings below."""
        x = self.first(x)
        for down in self.downs[:levels]:
            x = down(x)
        return x

    def up(self, x: Tensor, below: Tensor | None, levels: int) -> Tensor:
        """The output for a volume or tile, from what the levels below these have made of its features.

        ``below`` None takes the features themselves, as the deepest level does.
        """
        skipped = [self.first(x)]
        for down in self.downs[: levels - (below is not None)]:
            skipped.append(down(skipped[-1]))
        made = skipped.pop() if below is None else below
        for upcat in self.upcats[len(self.upcats) - levels :]:
            made = upcat(made, skipped.pop())
        output: Tensor = self.last(made)
        return output


def unet_levels(network: object) -> list[UNetLevels]:
    """What a network computes below 0, 1, ... 4 poolings; nothing for one that cannot be computed by levels.

    That is any but a 3-D BasicUNet itself (a subclass may compute something else, and wrappers hide it), and one with
    a layer that sees the whole volume: norms that take statistics of their input, interpolation to a size.
    """
    if type(network) is not BasicUNet:
        return []
    layers = (each for each in network.modules() if not any(each.children()))
    return [UNetLevels(network, top) for top in range(DEPTH + 1)] if all(map(_is_local, layers)) else []


def _is_local(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm3d):
        return not layer.training and layer.running_mean is not None
    return isinstance(layer, LOCAL) or (isinstance(layer, nn.Dropout3d | nn.Dropout) and not layer.training)

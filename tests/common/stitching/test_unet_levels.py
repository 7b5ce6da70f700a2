"""A U-Net by its levels: their composition is the network, how far they see, and which networks have none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from common.stitching.unet_levels import unet_levels

FEATURES = (2, 2, 4, 8, 16, 2)


def network(**settings: Any) -> BasicUNet:
    torch.manual_seed(0)
    made = BasicUNet(**{"spatial_dims": 3, "out_channels": 1, "features": FEATURES, "norm": "batch", **settings})
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm3d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 2)
    return made.eval()


@pytest.mark.parametrize(("top", "levels"), [(top, levels) for levels in (1, 2) for top in range(5 - levels)])
def test_levels_and_those_below_them_are_the_network(top: int, levels: int) -> None:
    parts = unet_levels(network())
    assert [part.width for part in parts] == [2, 2, 4, 8, 16]
    x = torch.rand(2, 1 if top == 0 else parts[top].width, 32, 16, 48)
    with torch.no_grad():
        below = parts[top + levels](parts[top].down(x, levels))
        torch.testing.assert_close(parts[top].up(x, below, levels), parts[top](x), rtol=0, atol=1e-6)


class Other(BasicUNet):
    """May compute something else."""


@pytest.mark.parametrize(
    "settings",
    [
        {"norm": ("instance", {"affine": True})},
        {"norm": ("group", {"num_groups": 2})},
        {"norm": ("batch", {"track_running_stats": False})},
        {"upsample": "nontrainable"},
        {"upsample": "pixelshuffle"},
        {"spatial_dims": 2},
    ],
)
def test_layers_that_see_the_whole_volume_are_not_cut(settings: dict[str, Any]) -> None:
    assert unet_levels(network(**settings)) == []


def test_training_wrappers_and_other_networks_are_not_cut() -> None:
    whole = network(dropout=0.1)
    assert len(unet_levels(whole)) == 5
    assert unet_levels(nn.Sequential(whole)) == []
    assert unet_levels(Other(features=FEATURES, norm="batch").eval()) == []
    assert unet_levels(torch.clone) == []
    assert unet_levels(whole.train()) == []

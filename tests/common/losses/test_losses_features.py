"""Hidden features of a discriminator, by hand."""

from __future__ import annotations

import torch
from torch import nn

from common.losses.features import hidden_features
from common.networks.patch_discriminator import PatchGanDiscriminator


def test_outputs_of_the_activations_in_order() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.LeakyReLU(0.5), nn.Sequential(nn.ReLU()))
    with torch.no_grad():
        network[0].weight.fill_(2)  # type: ignore[operator]
    first, second = hidden_features(network, torch.tensor([[[[1.0, -1.0]]]]))
    assert first.tolist() == [[[[2.0, -1.0]]]]
    assert second.tolist() == [[[[2.0, 0.0]]]]
    assert not network[1]._forward_hooks


def test_a_reference_batch_in_front_of_the_images_is_left_out() -> None:
    discriminator = PatchGanDiscriminator(1, width=4, layers=2, norm="virtual")
    discriminator(torch.rand(3, 1, 32, 32))  # becomes the reference
    assert {len(features) for features in hidden_features(discriminator, torch.rand(2, 1, 32, 32))} == {2}

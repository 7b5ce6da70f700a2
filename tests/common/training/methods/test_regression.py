"""Regression: the L1 of each resolution by hand, and that it trains without an adversary."""

from __future__ import annotations

import pytest
import torch
from loss_settings import losses_of
from torch import Tensor, nn

from common.networks.residual_unet import ResidualUNet
from common.training.methods.regression import Regression

TARGET = torch.tensor([[0.0, 2.0, 4.0, 4.0], [2.0, 0.0, 4.0, 4.0]]).reshape(1, 1, 2, 4)


class Fixed(nn.Module):
    """The same outputs for any input."""

    def __init__(self, *levels: Tensor) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        return list(self.levels) if len(self.levels) > 1 else self.levels[0]


def losses(*levels: Tensor) -> dict[str, Tensor]:
    method = Regression(Fixed(*levels), losses_of({"l1": 1}))
    batch = {"image": TARGET, "label": TARGET}
    fakes = method.generate(batch)
    assert torch.equal(fakes["pred"], levels[0])
    assert method.discriminator_losses(batch, fakes) == {}
    return method.generator_losses(batch, fakes)


def test_one_output_has_the_plain_distance() -> None:
    assert float(losses(TARGET + 3)["l1"]) == 3


def test_lower_resolutions_are_compared_with_means_and_weigh_less() -> None:
    """Blocks of 2 x 2 have the means 1 and 4: 2/3 of |3| at full resolution, 1/3 of the mean of |1 - 2| and |4 - 1|."""
    low = torch.tensor([2.0, 1.0]).reshape(1, 1, 1, 2)
    assert float(losses(TARGET - 3, low)["l1"]) == pytest.approx(2 / 3 * 3 + 1 / 3 * 2)


def test_another_loss_sees_the_finest_resolution_alone() -> None:
    """Of 3 at full resolution and of anything at the half of it, L2 is 9."""
    method = Regression(Fixed(TARGET), losses_of({"l1": 0, "l2": 1}))
    fakes = {"pred": TARGET - 3, "pred_1": torch.zeros(1, 1, 1, 2)}
    assert method.generator_losses({"image": TARGET, "label": TARGET}, fakes) == {"l2": 9}


def test_every_head_learns_from_its_own_resolution() -> None:
    """Far above the target, L1 grows by a level's share with that level's bias: 4/7, 2/7, 1/7 for three levels."""
    network = ResidualUNet(depth=3, width=2)
    method = Regression(network, losses_of({"l1": 1}))
    batch = {"image": torch.randn(1, 1, 16, 16), "label": torch.full((1, 1, 16, 16), -1000.0)}
    method.generator_losses(batch, method.generate(batch))["l1"].backward()
    biases = [weight.grad for name, weight in network.named_parameters() if name.endswith("head.bias")]
    assert sorted(float(each) for each in biases if each is not None) == pytest.approx([1 / 7, 2 / 7, 4 / 7])

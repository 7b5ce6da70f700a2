"""The registered distance: values by hand, what it forgives and what that costs, and that its network is trained."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import RegUNet
from torch import Tensor, nn

from common.errors import ConfigError
from common.losses import RegisteredL1, l1, weighted_losses
from common.training.methods.regression import Regression


class Displaced(nn.Module):
    """A displacement in voxels that does not depend on the images: ``offset`` and ``slope`` times the first index."""

    def __init__(self, offset: tuple[float, ...], slope: float = 0.0) -> None:
        super().__init__()
        self.offset, self.slope = nn.Parameter(torch.tensor(offset)), slope

    def forward(self, images: Tensor) -> Tensor:
        constant = self.offset.reshape(1, -1, *(1 for _ in self.offset))
        place = torch.arange(images.shape[2], dtype=torch.float32).reshape(-1, *(1 for _ in self.offset[1:]))
        return constant + self.slope * place + images.new_zeros(len(images), len(self.offset), *images.shape[2:])


def ramp(*sides: int) -> Tensor:
    """Each voxel is 10 times its first index plus its second one."""
    first, second = torch.meshgrid(*(torch.arange(float(side)) for side in sides[:2]), indexing="ij")
    image = 10 * first + second
    return image.reshape(1, 1, *sides[:2], *(1 for _ in sides[2:])).expand(1, 1, *sides).contiguous()


def value(loss: Tensor) -> float:
    return float(loss.detach())


@pytest.mark.parametrize("sides", [(6, 5), (6, 5, 4)])
def test_the_synthetic_image_is_read_at_the_displaced_voxels(sides: tuple[int, ...]) -> None:
    image, axes = ramp(*sides), len(sides)
    target = image + 12  # of a voxel further along the first axis and two along the second
    loss = RegisteredL1(Displaced((1.0, 2.0, 0.0)[:axes]))
    inside = slice(None), slice(None), slice(0, -1), slice(0, -2)
    torch.testing.assert_close(loss.warp(image, loss.network(image))[inside], target[inside])
    assert value(RegisteredL1(Displaced((0.0,) * axes))(image, target)) == 12


def test_a_slope_of_the_displacement_costs_its_square() -> None:
    flat = torch.zeros(2, 1, 8, 8)
    # each of the two components changes by .3 from row to row and not from column to column
    assert value(RegisteredL1(Displaced((5.0, -2.0), slope=0.3), 0.5)(flat, flat)) == pytest.approx(0.5 * 0.09)
    assert value(RegisteredL1(Displaced((5.0, -2.0)), 0.5)(flat, flat)) == 0
    summed = RegisteredL1(Displaced((5.0, -2.0), slope=0.3), 0.5, "sum")(flat, flat)
    assert value(summed) == pytest.approx(0.5 * 0.09 * 64)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_network_of_zeros_is_l1_and_learns_to_follow_the_target(axes: int) -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 1, *(16,) * axes)
    image[(..., *(slice(5, 11),) * axes)] = 1
    target = image.roll(1, dims=2)
    network = RegUNet(axes, 2, 4, 2, out_kernel_initializer="zeros", out_channels=axes)
    loss = RegisteredL1(network, 0.01)
    assert value(loss(image, target)) == value(l1(image, target))
    optimizer = torch.optim.Adam(loss.parameters(), 1.0e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss(image, target).backward()
        optimizer.step()
    assert value(loss(image, target)) < 0.6 * value(l1(image, target))


def test_its_network_is_trained_with_the_generator_and_others_are_frozen() -> None:
    registered, frozen = RegisteredL1(Displaced((0.0, 0.0))), nn.L1Loss()
    frozen.register_parameter("scale", nn.Parameter(torch.ones(())))
    losses = {"l1": {"weight": 1, "function": registered}, "other": {"weight": 1, "function": frozen}}
    method = Regression(nn.Conv2d(1, 1, 1), losses)
    trained = list(method.generators.parameters())
    assert any(parameter is registered.network.offset for parameter in trained)
    assert not any(parameter is frozen.scale for parameter in trained)
    assert [parameter.requires_grad for parameter in (registered.network.offset, frozen.scale)] == [True, False]
    assert "generators.loss_l1.network.offset" in method.state_dict()
    assert method.deployed is method.generators["generator"]


def test_without_a_weight_its_network_is_not_trained() -> None:
    entries = {"l1": {"weight": 1, "function": l1}, "spare": {"weight": 0, "function": RegisteredL1(Displaced((0.0,)))}}
    assert len(list(Regression(nn.Conv2d(1, 1, 1), entries).generators.parameters())) == 2
    assert weighted_losses(entries, (), "--losses")["spare"].weight == 0


def test_a_negative_smoothness_is_refused() -> None:
    with pytest.raises(ConfigError, match="smoothness is -1, below 0: pass 10, or 0"):
        RegisteredL1(nn.Identity(), -1)

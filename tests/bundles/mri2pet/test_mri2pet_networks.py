"""Sketcher and Refiner as one network, and the network that looks at one voxel alone."""

from __future__ import annotations

import pytest
import torch
from mri2pet_sketcher_refiner import networks
from mri2pet_sketcher_refiner.networks import SketcherRefiner, VoxelNetwork
from torch import nn


def maps(*sides: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, *sides, generator=torch.Generator().manual_seed(seed))


def convolutions(network: nn.Module) -> list[nn.Conv3d]:
    return [part for part in network.modules() if isinstance(part, nn.Conv3d)]


# ---- sketcher and refiner -------------------------------------------------------------------------------------------


def test_the_refiner_sees_all_maps_and_the_sketch() -> None:
    torch.manual_seed(0)
    network = SketcherRefiner(width=2).eval()
    assert [convolutions(stage)[0].in_channels for stage in network.stages] == [4, 5]
    x = maps(16, 16, 16)
    sketch = network.stages[0](x)
    assert torch.equal(network(x), network.stages[1](torch.cat([x, sketch], dim=1)))
    network.get_buffer("in_use").fill_(1)
    assert torch.equal(network(x), sketch)


def test_the_u_net_halves_four_times_and_widens_as_it_says() -> None:
    network = SketcherRefiner(stages=1)
    kinds = [type(part) for part in network.modules()]
    assert kinds.count(nn.MaxPool3d) == kinds.count(nn.ConvTranspose3d) == 4
    deepest = max(conv.out_channels for conv in convolutions(network))
    assert convolutions(network)[0].out_channels == 32
    assert deepest == 8 * 32
    assert not [kind for kind in kinds if kind is nn.Tanh or "InstanceNorm" in kind.__name__]
    assert {part.p for part in network.modules() if isinstance(part, nn.Dropout)} <= {0.0}


@pytest.mark.parametrize("sides", [(16, 16, 16), (17, 19, 33)])
def test_volumes_keep_their_size(sides: tuple[int, int, int]) -> None:
    with torch.no_grad():
        assert SketcherRefiner(width=1).eval()(maps(*sides)).shape == (1, 1, *sides)


# ---- one voxel alone ------------------------------------------------------------------------------------------------


def test_two_layers_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "HIDDEN", 2)
    network = VoxelNetwork(in_channels=2)
    first, second = convolutions(network)
    # hidden: relu(x0 - x1 + 1) and relu(x1); output: 2 h0 + 3 h1 - 5
    first.weight.data = torch.tensor([[1.0, -1.0], [0.0, 1.0]])[:, :, None, None, None]
    first.bias.data = torch.tensor([1.0, 0.0])  # type: ignore[union-attr]
    second.weight.data = torch.tensor([[2.0, 3.0]])[:, :, None, None, None]
    second.bias.data = torch.tensor([-5.0])  # type: ignore[union-attr]
    x = torch.tensor([[[[[0.5, 0.5]]], [[[2.0, -1.0]]]]])
    # (0.5, 2): relu(-0.5) = 0, relu(2) = 2, 6 - 5 = 1; (0.5, -1): relu(2.5), 0, 5 - 5 = 0
    assert network(x).flatten().tolist() == [1.0, 0.0]


def test_published_size_of_the_voxel_network() -> None:
    # 4 maps to 64 units to 1, with biases
    assert sum(weight.numel() for weight in VoxelNetwork().parameters()) == 4 * 64 + 64 + 64 + 1

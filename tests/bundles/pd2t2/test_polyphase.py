"""Dense kernels on interleaved grids against the dilated convolution they stand for."""

from __future__ import annotations

import pytest
import torch
from pd2t2_dcgan_acm.dilated.polyphase import from_phases, to_phases
from pd2t2_dcgan_acm.dilated.spectral import SpectralConv3d
from torch import nn


def test_phases_of_a_row() -> None:
    row = torch.arange(6.0).reshape(1, 1, 6, 1, 1).expand(1, 1, 6, 2, 2)
    grids = to_phases(row, 2)
    assert grids.shape == (8, 1, 3, 1, 1)
    assert [grid.flatten().tolist() for grid in grids] == [[0, 2, 4]] * 4 + [[1, 3, 5]] * 4
    assert torch.equal(from_phases(grids, 2), row)


@pytest.mark.parametrize("sides", [(8, 6, 4), (7, 5, 9), (1, 2, 3)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (3, 3), (7, 1), (7, 2), (9, 2)])
def test_output_and_gradients_equal_the_dilated_convolution(sides, kernel, dilation) -> None:
    torch.manual_seed(0)
    arguments = {"kernel_size": kernel, "dilation": dilation, "padding": kernel // 2 * dilation}
    plain, phased = nn.Conv3d(2, 3, **arguments), SpectralConv3d(2, 3, **arguments)
    phased.load_state_dict(plain.state_dict())
    x = torch.randn(2, 2, *sides)
    results = []
    for network in (plain, phased):
        given = x.clone().requires_grad_()
        made = network(given)
        made.square().sum().backward()
        results.append([made, given.grad, network.weight.grad, network.bias.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("other", [{"dilation": (1, 2, 2)}, {"stride": 2}, {"padding": 0}, {"groups": 2}])
def test_others_are_plain_convolutions(other) -> None:
    torch.manual_seed(0)
    arguments = {"kernel_size": 3, "dilation": 2, "padding": 2} | other
    plain, phased = nn.Conv3d(2, 2, **arguments), SpectralConv3d(2, 2, **arguments)
    phased.load_state_dict(plain.state_dict())
    x = torch.randn(1, 2, 8, 8, 8)
    assert torch.equal(phased(x), plain(x))

"""Initial weights: moments within their sampling error, and parameters that stay as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.networks.initialisation import normal_


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(64, 64, 4), nn.ConvTranspose2d(64, 64, 4), nn.Conv3d(16, 64, 4), nn.Linear(256, 256)],
    ids=["conv2d", "transposed", "conv3d", "linear"],
)
def test_weights_are_normal_and_biases_zero(layer: nn.Module) -> None:
    torch.manual_seed(0)
    normal_(layer)
    weight, bias = (parameter.detach() for parameter in layer.parameters())
    count = weight.numel()
    # at least 65536 draws: mean within 4 std / sqrt(n), standard deviation within 2 %, kurtosis of a normal 3
    assert abs(float(weight.mean())) < 4 * 0.02 / count**0.5
    assert float(weight.std()) == pytest.approx(0.02, rel=0.02)
    assert float(((weight / weight.std()) ** 4).mean()) == pytest.approx(3, abs=0.15)
    assert torch.count_nonzero(bias) == 0


def test_normalisation_scales_are_about_one_and_shifts_zero() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(20000)
    nn.init.ones_(norm.bias)
    normal_(norm)
    assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.001)
    assert float(norm.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert torch.count_nonzero(norm.bias) == 0
    assert torch.equal(norm.state_dict()["running_var"], torch.ones(20000))

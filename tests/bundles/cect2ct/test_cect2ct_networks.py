"""The residual generator: the identity at the start, and for ever outside the training window."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cect2ct_rescyclegan.networks import ResidualGenerator, UNetGenerator
from torch import Tensor, nn

BOUNDARIES = [-1.0, 1.0]
BEYOND = [-3.0, -1.0000001, 1.0000001, 40.0]


def generator(moved: bool = False, **settings: Any) -> ResidualGenerator:
    """Depth 3, width 4; ``moved``: with weights as after some training."""
    torch.manual_seed(0)
    unet = UNetGenerator(depth=3, width=4, dropout=0.0, bounded=False)
    network = ResidualGenerator(unet, **settings)
    if moved:
        for weight in network.parameters():
            nn.init.normal_(weight, 0.0, 0.5)
    return network


def images(seed: int = 1) -> Tensor:
    """Two slices, about a third of whose values lie outside [-1, 1], with some at and next to the limits."""
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    x[0, 0, 0, :6] = torch.tensor(BOUNDARIES + BEYOND)
    return x


def test_a_trained_one_changes_all_values_inside_the_window_and_none_outside() -> None:
    x = images()
    inside = (x >= -1) & (x <= 1)
    assert 0.2 < inside.float().mean() < 0.8
    y = generator(moved=True)(x)
    assert torch.equal(y != x, inside)
    # unbounded: the residual is not that of a tanh
    assert (y - x).abs().max() > 1


def test_results_leave_out_changes_smaller_than_some_hu_and_training_sees_all() -> None:
    """A window of 600 HU is [-1, 1], so that a change by 1 is one by 300 HU."""
    x = images().clamp(-1, 1)
    residual = generator(moved=True).eval().unet(x).detach()
    least = float(residual.abs().median())
    network = generator(moved=True, least_change=300 * least, window=(-50.0, 550.0)).eval()
    assert torch.equal(network(x), torch.where(residual.abs() < least, x, x + residual))
    assert bool((network.train()(x) != x).all())


@pytest.mark.parametrize("value", [-3.0, -1.0, 0.0])
@pytest.mark.parametrize("training", [True, False])
def test_a_flat_slice_gives_finite_values_and_gradients(value: float, training: bool) -> None:
    network = generator(moved=True).train(training)
    x = torch.full((1, 1, 16, 16), value, requires_grad=True)
    y = network(x)
    y.square().sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()  # type: ignore[arg-type]
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    if value == -3:
        assert torch.equal(y, x)


def test_half_precision_leaves_what_lies_outside_untouched() -> None:
    network, x = generator(moved=True), images() + 1e-4
    with torch.autocast("cpu", torch.bfloat16):
        y = network(x)
    assert y.dtype == torch.float32
    assert torch.equal(y != x, x.abs() <= 1)

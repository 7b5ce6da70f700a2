"""Learning rates by hand: constant, then in equal steps towards zero, which would follow the last epoch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.training.schedules import ConstantThenLinear


@pytest.mark.parametrize(
    ("constant", "decay", "expected"),
    [
        # epochs 1-3 full; 4, 5, 6 lose a quarter each; epoch 7 would be zero and stays there
        (3, 3, [0.8, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0]),
        (0, 3, [0.6, 0.4, 0.2, 0.0]),
        (2, 0, [0.8] * 6),
    ],
)
def test_rates_of_two_groups(constant: int, decay: int, expected: list[float]) -> None:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": base} for base in (0.8, 0.08)])
    schedule = ConstantThenLinear(optimizer, constant, decay)
    for rate in expected:
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate, rate / 10])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(("stage", "epochs", "idle"), [(None, 6, 0), (None, 9, 3), (8, 20, 4), (None, 2, 0)])
def test_epochs_without_a_rate_are_those_of_rate_zero(stage: int | None, epochs: int, idle: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.8)
    schedule = ConstantThenLinear(optimizer, 3, 3, stage)
    assert schedule.idle_epochs(epochs) == idle
    zero = 0
    for _ in range(epochs):
        zero += optimizer.param_groups[0]["lr"] == 0
        optimizer.step()
        schedule.step()
    assert zero == idle
    assert ConstantThenLinear(optimizer, 3, 0).idle_epochs(99) == 0

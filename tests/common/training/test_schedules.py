"""Learning rates by hand: constant, then in equal steps towards zero, which would follow the last epoch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from common.training.schedules import ConstantThenLinear


def _rates(constant: int, decay: int, epochs: int, *bases: float) -> list[list[float]]:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": base} for base in bases]
    optimizer = torch.optim.SGD(groups)
    schedule = ConstantThenLinear(optimizer, constant, decay)
    rates = []
    for _ in range(epochs):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return rates


def test_three_and_three_epochs() -> None:
    # epochs 1-3 full; 4, 5, 6 lose a quarter each; epoch 7 would be zero and stays there
    rates = [rate for (rate,) in _rates(3, 3, 9, 0.8)]
    assert rates == pytest.approx([0.8, 0.8, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.0])


def test_published_hundred_and_hundred() -> None:
    rates = [rate for (rate,) in _rates(100, 100, 200, 2e-4)]
    assert rates[:100] == [2e-4] * 100
    assert rates[100] == pytest.approx(2e-4 * 100 / 101)
    assert rates[150] == pytest.approx(2e-4 * 50 / 101)
    assert rates[199] == pytest.approx(2e-4 / 101)
    assert all(before > after for before, after in zip(rates[99:], rates[100:], strict=False))


def test_without_decay_the_rate_never_falls() -> None:
    assert _rates(2, 0, 6, 0.5) == [[0.5]] * 6


def test_without_constant_epochs_decay_starts_at_once() -> None:
    assert [rate for (rate,) in _rates(0, 3, 4, 1.0)] == pytest.approx([0.75, 0.5, 0.25, 0.0])


def test_every_group_keeps_its_own_base() -> None:
    assert _rates(1, 1, 3, 1.0, 0.1) == [pytest.approx(pair) for pair in ([1.0, 0.1], [0.5, 0.05], [0.0, 0.0])]


def test_a_saved_schedule_goes_on_where_it_was() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.8)
    schedule = ConstantThenLinear(optimizer, 1, 3)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    again = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.8)
    restored = ConstantThenLinear(again, 1, 3)
    again.load_state_dict(optimizer.state_dict())
    restored.load_state_dict(schedule.state_dict())
    assert again.param_groups[0]["lr"] == pytest.approx(0.4)
    again.step()
    restored.step()
    assert again.param_groups[0]["lr"] == pytest.approx(0.2)


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

"""The weighted sum of losses, by hand."""

from __future__ import annotations

import pytest
import torch

from common.errors import ConfigError
from common.losses import weighted_sum


def test_weighted_sum_by_hand() -> None:
    losses = {"adversarial": torch.tensor(2.0), "l1": torch.tensor(0.25)}
    assert float(weighted_sum(losses, {"l1": 100, "adversarial": 0.5})) == 26.0


def test_weighted_sum_gives_each_loss_its_gradient() -> None:
    first, second = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    weighted_sum({"a": first**2, "b": second**2}, {"a": 10, "b": 0.5}).backward()
    assert (float(first.grad), float(second.grad)) == (40.0, 3.0)  # type: ignore[arg-type]


def test_a_loss_without_weight_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss_weights::l1: every loss has a weight, but got weights for \['L1'\]"):
        weighted_sum({"l1": torch.tensor(1.0)}, {"L1": 0})


def test_a_weight_without_loss_is_refused_unless_zero() -> None:
    losses = {"l1": torch.tensor(1.0)}
    assert float(weighted_sum(losses, {"l1": 2, "adversarial": 0})) == 2.0
    with pytest.raises(ConfigError, match=r"loss_weights::adverserial: every weight has a loss, one of \['l1'\]"):
        weighted_sum(losses, {"l1": 2, "adverserial": 1})

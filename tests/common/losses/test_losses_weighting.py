"""Losses as settings: what an entry may be, and the weighted sum by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from common.losses import l1, weighted_losses, weighted_sum

TERMS = ("adversarial", "feature_matching")


def test_weighted_sum_by_hand() -> None:
    losses = {"adversarial": torch.tensor(2.0), "l1": torch.tensor(0.25)}
    assert float(weighted_sum(losses, {"l1": 100, "adversarial": 0.5})) == 26.0


def test_weighted_sum_gives_each_loss_its_gradient() -> None:
    first, second = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    weighted_sum({"a": first**2, "b": second**2}, {"a": 10, "b": 0.5}).backward()
    assert (float(first.grad), float(second.grad)) == (40.0, 3.0)  # type: ignore[arg-type]


def test_losses_keep_their_order_and_modules_are_frozen() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout(0.5))
    given = {
        "l1": {"weight": 0, "function": l1},
        "adversarial": {"weight": 1},
        "own": {"weight": 2.5, "function": network},
    }
    found = weighted_losses(given, TERMS, "--losses")
    assert [(name, loss.weight, loss.function) for name, loss in found.items()] == [
        ("l1", 0, l1), ("adversarial", 1, None), ("own", 2.5, network),
    ]  # fmt: skip
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_a_single_key_may_be_a_text() -> None:
    given = {"l1": {"weight": 1, "function": l1, "keys": "lesion"}}
    assert weighted_losses(given, (), "--losses")["l1"].keys == ("lesion",)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"l1": 100}, r"no weight in 100 \(from --losses::l1\): write \{weight: 1\} and, for a new loss, a function"),
        ({"l1": {"function": l1}}, r"no weight in \{'function': .*\} \(from --losses::l1\): write"),
        (
            {"l1": {"weight": 1, "functoin": l1}},
            r"unknown name functoin \(from --losses::l1\): a loss has weight, function, keys$",
        ),
        ({"l1": {"weight": -1, "function": l1}}, r"weight -1 \(from --losses::l1::weight\): give a number, 0 to skip"),
        ({"l1": {"weight": "a", "function": l1}}, r"weight 'a' \(from --losses::l1::weight\): give a number"),
        ({"l1": {"weight": float("nan"), "function": l1}}, r"weight nan \(from --losses::l1::weight\): give a number"),
        (
            {"adverserial": {"weight": 1}},
            r"no function \(from --losses::adverserial\): terms without a function are adversarial, feature_matching$",
        ),
        (
            {"adversarial": {"weight": 1, "function": l1}},
            r"a function where the method computes the loss itself \(from --losses::adversarial\): terms without",
        ),
        (
            {"l1": {"weight": 0, "function": l1}, "adversarial": {"weight": 0}},
            r"every weight is 0 \(from --losses\): give a loss to train by a weight above 0$",
        ),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_loss_is_refused(losses: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        weighted_losses(losses, TERMS, "--losses")

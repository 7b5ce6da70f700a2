"""Losses by hand."""

from __future__ import annotations

import math

import pytest
import torch

from common.errors import ConfigError
from common.losses import AdversarialLoss, l1, weighted_sum

REAL, FAKE = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 0.25]])


def softplus(x: float) -> float:
    """-log sigmoid(-x), the cross entropy of a logit against 0; of -x against 1."""
    return math.log1p(math.exp(x))


BY_HAND = {
    # BCE: mean of softplus(-real) + mean of softplus(fake); generator: mean of softplus(-fake)
    "bce": (
        (softplus(-2.0) + softplus(-0.5)) / 2 + (softplus(-3.0) + softplus(0.25)) / 2,
        (softplus(3.0) + softplus(-0.25)) / 2,
    ),
    # ((2-1)^2 + (0.5-1)^2)/2 + (9 + 0.0625)/2 = 0.625 + 4.53125; ((-4)^2 + 0.75^2)/2 = 8.28125
    "least_squares": (5.15625, 8.28125),
    # (max(0,-1) + max(0,0.5))/2 + (max(0,-2) + max(0,1.25))/2 = 0.25 + 0.625; -(-3+0.25)/2 = 1.375
    "hinge": (0.875, 1.375),
}


@pytest.mark.parametrize("kind", AdversarialLoss.kinds)
def test_both_sides_by_hand(kind: str) -> None:
    discriminator, generator = BY_HAND[kind]
    loss = AdversarialLoss(kind, discriminator_factor=1.0)
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(discriminator, rel=1e-6)
    assert float(loss.generator(FAKE)) == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("kind", AdversarialLoss.kinds)
def test_the_factor_slows_the_discriminator_alone(kind: str) -> None:
    discriminator, generator = BY_HAND[kind]
    assert float(AdversarialLoss(kind).discriminator(REAL, FAKE)) == pytest.approx(0.5 * discriminator)
    assert float(AdversarialLoss(kind, 0.1).discriminator(REAL, FAKE)) == pytest.approx(0.1 * discriminator)
    assert float(AdversarialLoss(kind, 0.1).generator(FAKE)) == pytest.approx(generator)


def test_outputs_of_different_sizes_weigh_alike() -> None:
    # means, not sums: a real batch of one and a fake batch of four count the same
    loss = AdversarialLoss("least_squares", 1.0)
    assert float(loss.discriminator(torch.tensor([3.0]), torch.tensor([1.0, 1.0, 1.0, 1.0]))) == 4.0 + 1.0


@pytest.mark.parametrize(("kind", "gradient"), [("bce", -1.0), ("least_squares", -202.0), ("hinge", -1.0)])
def test_large_logits_keep_a_gradient(kind: str, gradient: float) -> None:
    # a sigmoid or tanh before the loss would leave none at -100: d/dx softplus(-x) = -1, 2 (x - 1) = -202, -1
    logits = torch.tensor([-100.0], requires_grad=True)
    AdversarialLoss(kind).generator(logits).backward()
    assert logits.grad is not None
    assert float(logits.grad) == pytest.approx(gradient)


def test_logits_beyond_exp_stay_finite() -> None:
    loss = AdversarialLoss("bce", 1.0)
    assert float(loss.discriminator(torch.tensor([-1000.0]), torch.tensor([1000.0]))) == 2000.0


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="adversarial loss: is one of bce, least_squares, hinge, but got 'wgan'"):
        AdversarialLoss("wgan")


def test_l1_is_the_mean_over_all_elements() -> None:
    assert float(l1(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2.0]]))) == 2.5


def test_l1_does_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"prediction \(2, 1, 4, 4\) and target \(2, 4, 4\) differ in shape"):
        l1(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


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

"""Adversarial losses and what keeps them stable, compared with values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from toy_training import adversary

from common.errors import ConfigError
from common.losses import AdversarialLoss
from common.losses.features import hidden_features
from common.networks.patch_discriminator import PatchGanDiscriminator

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
    # (-3 + 0.25)/2 - (2 + 0.5)/2 = -1.375 - 1.25; -(-3 + 0.25)/2 = 1.375
    "wasserstein": (-2.625, 1.375),
}


@pytest.mark.parametrize("kind", AdversarialLoss.kinds)
def test_both_sides_by_hand_and_the_factor_that_slows_the_discriminator_alone(kind: str) -> None:
    discriminator, generator = BY_HAND[kind]
    for factors, factor in (((1.0,), 1.0), ((), 0.5), ((0.1,), 0.1)):
        loss = adversary(kind, *factors)
        assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(factor * discriminator, rel=1e-6)
        assert float(loss.generator(FAKE)) == pytest.approx(generator, rel=1e-6)


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


# ---- labels and accuracy --------------------------------------------------------------------------------------------


def test_a_smoothed_label_is_for_real_images_alone() -> None:
    # ((2 - 0.9)^2 + (0.5 - 0.9)^2)/2 = (1.21 + 0.16)/2; (9 + 0.0625)/2 as before; the generator still aims at 1
    loss = AdversarialLoss("least_squares", 1.0, real_label=0.9)
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(0.685 + 4.53125)
    assert float(loss.generator(FAKE)) == pytest.approx(8.28125)
    # 0.9 softplus(-x) + 0.1 softplus(x)
    smoothed = sum(0.9 * softplus(-x) + 0.1 * softplus(x) for x in (2.0, 0.5)) / 2
    of_fakes = (softplus(-3.0) + softplus(0.25)) / 2
    assert float(AdversarialLoss("bce", 1.0, 0.9).discriminator(REAL, FAKE)) == pytest.approx(smoothed + of_fakes)


@pytest.mark.parametrize(("kind", "expected"), [("bce", 0.75), ("hinge", 0.75), ("least_squares", (0.5 + 1) / 2)])
def test_accuracy_by_hand(kind: str, expected: float) -> None:
    # of real 2 and 0.5 both are above 0 and one is above 0.5; of -3 and 0.25 one is below 0 and both below 0.5
    accuracy = AdversarialLoss(kind).accuracy(REAL, FAKE)
    assert accuracy is not None
    assert float(accuracy) == expected
    assert adversary("wasserstein").accuracy(REAL, FAKE) is None


# ---- penalties ------------------------------------------------------------------------------------------------------


class Plane(nn.Module):
    """w . x of each sample, whose gradient is w everywhere."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).sum(dim=1, keepdim=True)


def test_penalties_of_a_plane_by_hand() -> None:
    plane, real, fake = Plane(3.0, 4.0), torch.rand(5, 2), torch.rand(5, 2)  # |w| = 5
    both = AdversarialLoss("bce", 0.5, gradient_penalty=10, r1=2)
    found = both.penalties("d", plane, real, fake)
    assert list(found) == ["d_penalty"]
    assert float(found["d_penalty"].detach()) == pytest.approx(0.5 * (10 * (5 - 1) ** 2 + 2 / 2 * 25))
    found["d_penalty"].backward()  # half of 10 * 2 (|w| - 1) w / |w| + 2 w
    assert plane.weight.grad is not None
    assert plane.weight.grad.tolist() == pytest.approx([0.5 * (80 * 0.6 + 2 * 3), 0.5 * (80 * 0.8 + 2 * 4)])
    assert AdversarialLoss("bce").penalties("d", plane, real, fake) == {}


def test_r1_looks_at_real_images_and_a_gradient_penalty_between() -> None:
    def square(x: Tensor) -> Tensor:  # gradient 2 x
        return x.square().sum(dim=1, keepdim=True)

    real, fake = torch.full((4, 1), 3.0), torch.full((4, 1), 1.0)
    r1 = AdversarialLoss("bce", 1.0, r1=1).penalties("d", square, real, fake)["d_penalty"]
    assert float(r1) == pytest.approx(0.5 * 36)
    torch.manual_seed(0)
    share = torch.rand(4, 1)
    torch.manual_seed(0)
    between = AdversarialLoss("bce", 1.0, gradient_penalty=1).penalties("d", square, real, fake)["d_penalty"]
    assert float(between) == pytest.approx(float((2 * (1 + 2 * share) - 1).square().mean()), rel=1e-5)


def test_each_of_several_discriminators_has_its_own_penalty() -> None:
    def discriminator(x: Tensor) -> Tensor:  # channel k has the gradient k + 1 in each of 4 voxels: norm 2 (k + 1)
        return x.flatten(2).sum(dim=2) * torch.tensor([1.0, 2.0])

    loss = AdversarialLoss("bce", 1.0, gradient_penalty=1)
    images = torch.rand(3, 2, 2, 2), torch.rand(3, 2, 2, 2)
    assert float(loss.penalties("d", discriminator, *images, groups=2)["d_penalty"]) == pytest.approx(1**2 + 3**2)


def test_a_patch_discriminator_counts_by_the_mean_of_its_outputs() -> None:
    loss = AdversarialLoss("bce", 1.0, r1=2)
    found = loss.penalties("d", lambda x: 3 * x, torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4))["d_penalty"]
    assert float(found) == pytest.approx(16 * (3 / 16) ** 2)


def test_a_flat_discriminator_has_a_finite_penalty() -> None:
    plane = Plane(0.0, 0.0)
    loss = AdversarialLoss("wasserstein", 1.0, gradient_penalty=10)
    penalty = loss.penalties("d", plane, torch.rand(5, 2), torch.rand(5, 2))["d_penalty"]
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(10, rel=1e-4)
    assert plane.weight.grad is not None
    assert plane.weight.grad.isfinite().all()


# ---- noise and features ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "left"), [(0, 0.2), (50, 0.1), (100, 0.0), (1000, 0.0)])
def test_noise_fades_in_a_straight_line(step: int, left: float) -> None:
    loss = AdversarialLoss(instance_noise=0.2, noise_steps=100)
    loss.step.fill_(step)
    torch.manual_seed(0)
    seen = loss.noised(torch.ones(100, 100))
    assert float(seen.mean()) == pytest.approx(1, abs=0.01)
    assert float(seen.std()) == pytest.approx(left, rel=0.02)


def test_without_noise_images_are_passed_on_and_nothing_is_drawn() -> None:
    images = torch.rand(2, 2)
    before = torch.get_rng_state()
    assert AdversarialLoss().noised(images) is images
    assert torch.equal(torch.get_rng_state(), before)


def chain() -> nn.Sequential:
    """Of one feature of a 1x1 convolution, doubled, and its output."""
    layers = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.LeakyReLU(0.5), nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        layers[0].weight.fill_(2)  # type: ignore[operator]
        layers[2].weight.fill_(5)  # type: ignore[operator]
    return layers


def test_feature_matching_by_hand() -> None:
    real, fake = torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[-1.0, 2.0]]]], requires_grad=True)
    loss = AdversarialLoss()  # features 2, -1 and -1, 4
    assert float(loss.feature_matching(chain(), real, fake, paired=True).detach()) == (3 + 5) / 2
    unpaired = loss.feature_matching(chain(), real, fake, paired=False)
    assert float(unpaired.detach()) == pytest.approx(abs((2 - 1) / 2 - (-1 + 4) / 2))
    unpaired.backward()
    assert fake.grad is not None
    assert fake.grad.tolist() == [[[[0.5, 1.0]]]]  # half of 2 * 0.5 and of 2


# ---- bad settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"real_label": 0.4}, "--adversarial_loss::real_label is 0.4: give a number above 0.5 and at most 1"),
        ({"kind": "hinge", "real_label": 0.9}, "real_label is 0.9, but kind hinge has no label to smooth"),
        ({"r1": -1}, "--adversarial_loss::r1 is -1: give zero or a positive"),
        ({"gradient_penalty": -1}, "--adversarial_loss::gradient_penalty is -1: give zero or a positive"),
        ({"noise_steps": 0}, "--adversarial_loss::noise_steps is 0: give a positive"),
        ({"kind": "wasserstein"}, "nothing bounds the critic of --adversarial_loss::kind wasserstein: set"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AdversarialLoss(**settings)


def test_outputs_of_the_activations_in_order() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.LeakyReLU(0.5), nn.Sequential(nn.ReLU()))
    with torch.no_grad():
        network[0].weight.fill_(2)  # type: ignore[operator]
    first, second = hidden_features(network, torch.tensor([[[[1.0, -1.0]]]]))
    assert first.tolist() == [[[[2.0, -1.0]]]]
    assert second.tolist() == [[[[2.0, 0.0]]]]
    assert not network[1]._forward_hooks


def test_a_reference_batch_in_front_of_the_images_is_left_out() -> None:
    discriminator = PatchGanDiscriminator(1, width=4, layers=2, norm="virtual")
    discriminator(torch.rand(3, 1, 32, 32))  # becomes the reference
    assert {len(features) for features in hidden_features(discriminator, torch.rand(2, 1, 32, 32))} == {2}

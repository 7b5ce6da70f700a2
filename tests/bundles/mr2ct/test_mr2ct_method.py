"""The losses of pix2pix on networks of one weight, by hand."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from loss_settings import losses_of
from mr2ct_pix2pix.networks import PatchGanDiscriminator, UNetGenerator
from torch import Tensor
from toy_networks import Pair, Scale

from common.errors import ConfigError
from common.losses import AdversarialLoss, weighted_sum
from common.training import SynthesisTrainer
from common.training.methods.conditional import ConditionalGan


def _method(kind: str = "least_squares", **weights: float) -> ConditionalGan:
    losses = losses_of(weights or {"adversarial": 1, "l1": 100})
    return ConditionalGan(Scale(0.5), Pair(10.0, 1.0), losses, AdversarialLoss(kind))


def _numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(loss.detach()) for name, loss in losses.items()}


BATCH = {"image": torch.full((1, 1, 2, 2), 0.2), "label": torch.full((1, 1, 2, 2), 0.9)}


def test_losses_by_hand() -> None:
    method = _method()
    fakes = method.generate(BATCH)
    assert fakes["pred"].detach().unique().tolist() == pytest.approx([0.1])
    # D: real 10 * 0.2 + 0.9 = 2.9, fake 2 + 0.1 = 2.1; 0.5 [(2.9 - 1)^2 + 2.1^2] = 0.5 (3.61 + 4.41)
    found = method.discriminator_losses(BATCH, fakes)
    assert _numbers(found) == pytest.approx({"discriminator": 4.01})
    # G: (2.1 - 1)^2 = 1.21; |0.1 - 0.9| = 0.8; the sum 1.21 + 100 * 0.8
    found = method.generator_losses(BATCH, fakes)
    assert _numbers(found) == pytest.approx({"adversarial": 1.21, "l1": 0.8})
    assert float(weighted_sum(found, method.loss_weights).detach()) == pytest.approx(81.21)


def test_cross_entropy_is_the_default_of_the_paper() -> None:
    # log(1 + e^-2.9) + log(1 + e^2.1), halved; log(1 + e^-2.1)
    method = _method("bce")
    fakes = method.generate(BATCH)
    discriminator = method.discriminator_losses(BATCH, fakes)["discriminator"]
    generator = method.generator_losses(BATCH, fakes)["adversarial"]
    assert float(discriminator.detach()) == pytest.approx((math.log1p(math.exp(-2.9)) + math.log1p(math.exp(2.1))) / 2)
    assert float(generator.detach()) == pytest.approx(math.log1p(math.exp(-2.1)))


def test_the_discriminator_always_sees_the_source_first() -> None:
    method = _method()
    fakes = method.generate(BATCH)
    method.discriminator_losses(BATCH, fakes)
    method.generator_losses(BATCH, fakes)
    seen = method.discriminators["discriminator"].given
    pairs = [[round(float(channel.mean()), 6) for channel in stacked[0]] for stacked in seen]
    assert pairs == [[0.2, 0.9], [0.2, 0.1], [0.2, 0.1]]


def test_several_slices_of_the_source_stand_beside_one_of_the_target() -> None:
    generator, discriminator = UNetGenerator(3, 1, depth=2, width=2), PatchGanDiscriminator(4, width=2, layers=1)
    method = ConditionalGan(generator, discriminator, losses_of({"adversarial": 1, "l1": 100}), AdversarialLoss())
    batch = {"image": torch.rand(2, 3, 16, 16), "label": torch.rand(2, 1, 16, 16)}
    fakes = method.generate(batch)
    assert fakes["pred"].shape == (2, 1, 16, 16)
    assert set(method.discriminator_losses(batch, fakes)) == {"discriminator"}
    assert set(method.generator_losses(batch, fakes)) == {"adversarial", "l1"}


def test_without_adversary_the_discriminator_is_not_asked() -> None:
    method = _method(adversarial=0, l1=100)
    fakes = method.generate(BATCH)
    assert method.discriminator_losses(BATCH, fakes) == {}
    assert set(method.generator_losses(BATCH, fakes)) == {"l1"}
    assert method.discriminators["discriminator"].given == []


def test_a_mistyped_weight_does_not_switch_the_adversary_off_in_silence() -> None:
    with pytest.raises(
        ConfigError, match=r"no function \(from --losses::adverserial\): terms without a function are adv"
    ):
        _method(adverserial=1, l1=100)


def test_the_generator_is_what_is_deployed() -> None:
    method = _method()
    assert method.deployed is method.generators["generator"]


def test_one_step_by_hand() -> None:
    # D first: 0.5 [(R - 1)^2 + F^2] with R = 2.9 and F = 2.1
    # d/da = (1.9 + 2.1) 0.2 = 0.8, d/db = 1.9 * 0.9 + 2.1 * 0.1 = 1.92
    # rate 0.1: a = 9.92, b = 0.808; F' = 1.984 + 0.0808 = 2.0648
    # G: 2 (F' - 1) b 0.2 = 0.34414336, and 100 (-0.2) = -20; g = 0.5 + 0.1 (20 - 0.34414336)
    method = _method()

    SynthesisTrainer(torch.device("cpu"), 1, [BATCH], method, partial(torch.optim.SGD, lr=0.1)).run()
    weight = method.discriminators["discriminator"].weight
    assert weight.tolist() == pytest.approx([9.92, 0.808], rel=1e-5)
    assert method.generators["generator"].weight.item() == pytest.approx(2.465585664, rel=1e-5)

"""The two parts of the training of f-AnoGAN, and the losses of the networks that it is compared with."""

from __future__ import annotations

import pytest
import torch
from brain_fanogan.method import DenoiserMethod, FAnoGanMethod, VaeMethod
from brain_fanogan.networks import Denoiser, FAnoGan, Vae

from common.losses import AdversarialLoss, weighted_sum

BATCH = {"image": torch.rand(4, 1, 16, 16) * 2 - 1}
LOSSES = {name: {"weight": 1} for name in ("adversarial", "image", "features")}


def method(adversarial: float = 1, gan_steps: int = 5) -> FAnoGanMethod:
    loss = AdversarialLoss("wasserstein", gradient_penalty=10)
    losses = {**LOSSES, "adversarial": {"weight": adversarial}}
    return FAnoGanMethod(FAnoGan(16, 8, 2), losses, loss, gan_steps)


def learning(of: FAnoGanMethod, step: int) -> tuple[set[str], set[str]]:
    """Names of the generators' losses at a step, and of the networks that their gradient reaches."""
    of.train()
    of.begin_step(step)
    with of.frozen_discriminators():
        losses = of.generator_losses(BATCH, of.generate(BATCH))
        weighted_sum(losses, of.loss_weights).backward()
    reached = {name.split(".")[0] for name, weight in of.deployed.named_parameters() if weight.grad is not None}
    return set(losses), reached


def test_the_gan_is_trained_first() -> None:
    own = method()
    assert learning(own, 5) == ({"adversarial"}, {"generator"})
    assert own.has_adversary
    assert set(own.discriminator_losses(BATCH, own.generate(BATCH))) == {"critic", "critic_penalty"}


def test_the_encoder_is_trained_then_and_all_else_stays() -> None:
    own = method()
    assert learning(own, 6) == ({"image", "features"}, {"encoder"})
    assert not own.has_adversary
    assert own.discriminator_losses(BATCH, own.generate(BATCH)) == {}
    before = {name: value.clone() for name, value in own.deployed.generator.state_dict().items()}
    own.generate(BATCH)
    after = own.deployed.generator.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items()), "batch statistics are fixed"


def test_without_an_adversary_the_generator_learns_with_the_encoder() -> None:
    own = method(adversarial=0)
    assert learning(own, 1) == ({"image", "features"}, {"encoder", "generator"})


def test_the_losses_of_the_encoder_are_mean_squares() -> None:
    own = method()
    own.begin_step(6)
    made = {"pred": BATCH["image"] + 0.5}
    assert float(own.loss("image", BATCH, made)) == pytest.approx(0.25)
    assert float(own.loss("features", BATCH, {"pred": BATCH["image"]})) == 0


def test_the_divergence_of_codes_is_counted_by_pixel() -> None:
    """Of a code with mean 1 and variance 1 it is 1/2 a number: 8 / 2 over 256 pixels."""
    own = VaeMethod(Vae(16, 8, 2), {"image": {"weight": 1}, "kl": {"weight": 1}})
    codes = {"mean": torch.ones(4, 8), "log_variance": torch.zeros(4, 8)}
    assert float(own.loss("kl", BATCH, codes)) == 8 / 2 / 256
    assert set(own.generate(BATCH)) == {"pred", "mean", "log_variance"}


def test_the_diffusion_model_estimates_noise() -> None:
    pytest.importorskip("einops")
    own = DenoiserMethod(Denoiser(8), {"noise": {"weight": 1}})
    made = own.generate(BATCH)
    assert made["pred"].shape == BATCH["image"].shape
    assert float(own.loss("noise", BATCH, {**made, "pred": made["noise"] + 2})) == pytest.approx(4, rel=1e-5)

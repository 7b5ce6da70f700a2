"""Losses of the methods by hand, with networks of one weight."""

from __future__ import annotations

import math

import pytest
import torch
from brain3d_alphagan.methods import AlphaWgan, Diffusion, LatentDiffusion, Variational, WassersteinGan
from brain3d_alphagan.networks import BrainGenerator
from loss_settings import losses_of
from torch import Tensor, nn

from common.losses import AdversarialLoss

LOSS = AdversarialLoss("wasserstein", discriminator_factor=1.0, gradient_penalty=10.0)


class Doubler(BrainGenerator):
    """Images are twice their noise, and codes half of images."""

    def __init__(self) -> None:
        super().__init__([2])
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, noise: Tensor) -> Tensor:
        return self.factor * noise

    def encode(self, image: Tensor) -> Tensor:
        return image / 4


class Mean(nn.Module):
    """The score is a multiple of an image's sum."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image: Tensor) -> Tensor:
        return self.factor * image.sum(1, keepdim=True)


def alpha(**weights: float) -> AlphaWgan:
    given = weights or {"adversarial": 1, "code": 1, "l1": 10}
    return AlphaWgan(Doubler(), Mean(3.0), losses_of(given), LOSS, code_discriminator=Mean(5.0))


def test_generator_and_encoder_are_updated_first_as_published() -> None:
    assert AlphaWgan.generators_first
    assert not WassersteinGan.generators_first


def test_losses_of_generator_and_encoder() -> None:
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    noise = fakes["noise"]
    assert torch.equal(fakes["pred"], 2 * noise)
    assert fakes["code"].tolist() == [[0.25, 0.75]]
    assert fakes["reconstruction"].tolist() == [[0.5, 1.5]]
    losses = {name: value.item() for name, value in method.generator_losses(batch, fakes).items()}
    assert losses == {
        "adversarial": pytest.approx(-3 * 2 * noise.sum().item() - 3 * 2.0),
        "code": pytest.approx(-5 * 1.0),
        "l1": pytest.approx((0.5 + 1.5) / 2),
    }


def test_losses_of_the_critics() -> None:
    """D(fake) - D(real), the mean over samples and reconstructions; slopes are those of the weights everywhere."""
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    noise = fakes["noise"].sum().item()
    losses = {name: value.item() for name, value in method.discriminator_losses(batch, fakes).items()}
    assert losses == {
        "discriminator": pytest.approx(3 * (2 * noise + 2) / 2 - 3 * 4),
        "discriminator_penalty": pytest.approx(10 * (3 * math.sqrt(2) - 1) ** 2, rel=1e-4),
        "code_discriminator": pytest.approx(5 * 1 - 5 * noise, rel=1e-4),
        "code_discriminator_penalty": pytest.approx(10 * (5 * math.sqrt(2) - 1) ** 2, rel=1e-4),
    }


def test_both_critics_and_the_encoder_are_trained() -> None:
    method, batch = alpha(), {"image": torch.tensor([[1.0, 3.0]])}
    fakes = method.generate(batch)
    sum(method.discriminator_losses(batch, {name: fake.detach() for name, fake in fakes.items()}).values()).backward()  # type: ignore[union-attr]
    assert {name for name, critic in method.discriminators.items() if critic.factor.grad} == {
        "discriminator", "code_discriminator"
    }  # fmt: skip
    assert method.has_adversary
    assert not alpha(adversarial=0, code=0, l1=1).has_adversary


def test_kl_of_a_posterior_by_hand() -> None:
    """0.5 sum (m^2 + s^2 - 1 - log s^2), the mean over images."""
    method = Variational(Doubler(), losses_of({"kl": 1, "l1": 1}))
    fakes = {"mean": torch.tensor([[1.0, 0.0], [2.0, 0.0]]), "deviation": torch.tensor([[1.0, 1.0], [1.0, 2.0]])}
    expected = (0.5 * 1 + 0.5 * (4 + 3 - math.log(4))) / 2
    assert method.loss("kl", {}, fakes).item() == pytest.approx(expected)


@pytest.mark.parametrize(("method", "more"), [(Diffusion, {}), (LatentDiffusion, {"kl": 1})])
def test_error_of_the_noise(method: type, more: dict[str, float]) -> None:
    made = method(Doubler(), losses_of({"noise": 1, **more}))
    fakes = {"found": torch.tensor([1.0, 2.0]), "noise": torch.tensor([0.0, 4.0])}
    assert made.loss("noise", {}, fakes).item() == pytest.approx((1 + 4) / 2)

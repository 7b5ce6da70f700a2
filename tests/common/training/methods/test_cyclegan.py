"""CycleGAN on networks of one weight, worked out by hand.

a = 0.2, b = 0.3; G_AB(x) = 0.5 x, G_BA(x) = 3 x; D_A(x) = 3 x, D_B(x) = 4 x, least squares. So G_AB(a) = 0.1, G_BA(b) =
0.9, and a comes back as 0.3, b as 0.45.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from loss_settings import losses_of
from torch import Tensor
from toy_networks import Scale, cycle_networks

from common.losses import AdversarialLoss
from common.training import SynthesisTrainer
from common.training.methods.cyclegan import CycleGan

A, B = 0.2, 0.3
ALL = {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0}
SHAPES = [(1, 1, 4, 4), (2, 1, 4, 4, 4)]


def cyclegan(weights: Mapping[str, float] = ALL, pool_size: int = 0, **settings: Any) -> CycleGan:
    loss = AdversarialLoss("least_squares")
    networks = cycle_networks()
    return CycleGan(**networks, losses=losses_of(weights), adversarial_loss=loss, pool_size=pool_size, **settings)


def batch(a: float = A, b: float = B, shape: tuple[int, ...] = SHAPES[0]) -> dict[str, Tensor]:
    return {"image": torch.full(shape, a), "label": torch.full(shape, b)}


def networks_of(method: CycleGan) -> dict[str, Scale]:
    return {**method.generators, **method.discriminators}  # type: ignore[dict-item]


def calls(method: CycleGan) -> dict[str, int]:
    return {name: len(network.given) for name, network in networks_of(method).items()}


def gradients(method: CycleGan) -> dict[str, float]:
    """Of the networks that have one; None is no gradient, 0 would be one."""
    weights = {name: network.weight for name, network in networks_of(method).items()}
    return {name: weight.grad.item() for name, weight in weights.items() if weight.grad is not None}


def numbers(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


@pytest.mark.parametrize("shape", SHAPES, ids=["a slice", "a batch of volumes"])
def test_what_is_generated(shape: tuple[int, ...]) -> None:
    fakes = cyclegan().generate(batch(shape=shape))
    expected = {"pred": 0.1, "fake_a": 0.9, "cycle_a": 0.3, "cycle_b": 0.45, "identity_a": 0.6, "identity_b": 0.15}
    assert {fake.shape for fake in fakes.values()} == {shape}
    assert {name: fake.mean().item() for name, fake in fakes.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    # (3 a - 1) a + 2.7 * 0.9 = -0.08 + 2.43; (4 b - 1) b + 0.4 * 0.1 = 0.06 + 0.04
    [("discriminator_a", 2.35), ("discriminator_b", 0.1)],
)
@pytest.mark.parametrize("pool_size", [0, 2])
def test_a_discriminators_loss_reaches_it_alone(name: str, expected: float, pool_size: int) -> None:
    method = cyclegan(pool_size=pool_size)
    # the fakes still carry their graph: what keeps the generators out is the pool
    method.discriminator_losses(batch(), method.generate(batch()))[name].backward()
    assert gradients(method) == pytest.approx({name: expected})


@pytest.mark.parametrize(
    ("weights", "generated", "judged"),
    [
        ({"adversarial": 1, "cycle": 10, "identity": 5}, 3, 3),
        ({"adversarial": 1, "cycle": 10, "identity": 0}, 2, 3),
        ({"adversarial": 1}, 1, 3),
        ({"adversarial": 0, "cycle": 10}, 2, 0),
    ],
)
def test_weight_zero_computes_nothing(weights: dict[str, float], generated: int, judged: int) -> None:
    method = cyclegan(weights)
    fakes = method.generate(batch())
    judging = method.discriminator_losses(batch(), fakes)
    losses = method.generator_losses(batch(), fakes)
    assert set(losses) == {name for name, weight in weights.items() if weight}
    assert len(judging) == (2 if judged else 0)
    assert calls(method) == {
        "generator_ab": generated,
        "generator_ba": generated,
        "discriminator_a": judged,
        "discriminator_b": judged,
    }


def test_a_full_pool_shows_earlier_images_to_the_discriminators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, **options: torch.zeros(*size))  # below 1/2: always exchanged
    method = cyclegan(pool_size=1)
    for given in (batch(), batch(0.6, 0.7)):
        fakes = method.generate(given)
        losses = method.discriminator_losses(given, fakes)
    judged = {name: [x.mean().item() for x in networks_of(method)[name].given] for name in method.discriminators}
    assert judged["discriminator_a"] == pytest.approx([A, 0.9, 0.6, 0.9])  # not 3 * 0.7
    assert judged["discriminator_b"] == pytest.approx([B, 0.1, 0.7, 0.1])  # not 0.5 * 0.6
    # 0.5 [(3 * 0.6 - 1)^2 + 2.7^2], 0.5 [(4 * 0.7 - 1)^2 + 0.4^2]
    assert numbers(losses) == pytest.approx({"discriminator_a": 3.965, "discriminator_b": 1.7})
    # the generators face what they made now: (4 * 0.3 - 1)^2 + (3 * 2.1 - 1)^2 = 0.04 + 28.09
    assert method.generator_losses(given, fakes)["adversarial"].item() == pytest.approx(28.13)


def test_both_directions_are_kept_and_a_to_b_is_deployed() -> None:
    method = cyclegan()
    kept = method.networks_to_save()
    assert list(kept) == ["model", "model_backward"]
    assert kept["model"] is method.deployed is method.generators["generator_ab"]
    assert kept["model_backward"] is method.generators["generator_ba"]


@pytest.mark.parametrize(
    ("generators_first", "slopes", "expected"),
    [
        # discriminators first: 3 - 0.0235, 4 - 0.001; then the generators face these: G_AB: 2 (0.3999 - 1) 3.999 a,
        # G_BA: 2 (2.67885 - 1) 2.9765 b; (0.3999 - 1)^2 + (2.67885 - 1)^2 = 0.36012001 + 2.81853732
        (False, (-0.9599200, 2.9982803), {"adversarial": 3.17865733, "cycle": 0.25, "identity": 0.55}),
        # generators first: they face the discriminators as these were, which see what had been made before
        (True, (-0.96, 3.06), {"adversarial": 3.25, "discriminator_a": 3.725, "discriminator_b": 0.1}),
    ],
)
def test_a_step_of_the_trainer_by_hand(generators_first: bool, slopes: tuple, expected: dict[str, float]) -> None:
    """10 cycle + 5 identity add 15 - 1.5 and 2.5 + 1 to the slopes; those of the discriminators are 2.35 and 0.1."""
    method = cyclegan(generators_first=generators_first)
    data = [{**batch(), "case": "a, b"}]
    trainer = SynthesisTrainer(torch.device("cpu"), 1, data, method, lambda weights: torch.optim.SGD(weights, lr=0.01))
    trainer.run()
    after = {name: network.weight.item() for name, network in networks_of(method).items()}
    assert after == pytest.approx(
        {
            "generator_ab": 0.5 - 0.01 * (slopes[0] + 13.5),
            "generator_ba": 3 - 0.01 * (slopes[1] + 3.5),
            "discriminator_a": 2.9765,
            "discriminator_b": 3.999,
        }
    )
    expected = expected | {"loss": expected["adversarial"] + 2.5 + 2.75}
    assert {name: trainer.state.metrics[name] for name in expected} == pytest.approx(expected)

"""How the residual CycleGAN starts, what moves its generators, that it stays finite, and that a resume repeats it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cect2ct_rescyclegan.method import ResCycleGan
from cect2ct_toys import ADAM, ALL, CPU, MODES, dataset, residual
from torch import Tensor
from torch.utils.data import DataLoader

from common.data.samplers import EpochSampler
from common.training import SynthesisTrainer


def once(*given: dict[str, Tensor]) -> list[dict[str, Any]]:
    return [{**each, "case": "case"} for each in given]


def noise(seed: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(1, 1, 16, 16, generator=generator) for key in ("image", "label")}


def train(method: ResCycleGan, data: Any, epochs: int = 1) -> SynthesisTrainer:
    trainer = SynthesisTrainer(CPU, epochs, data, method, ADAM)
    trainer.run()
    return trainer


def parameters(method: ResCycleGan) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in method.generators.named_parameters()}


def changed(method: ResCycleGan, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in parameters(method).items() if not torch.equal(value, before[name])}


LAST = {f"{name}.unet.decoder.2.1.{kind}" for name in ("generator_ab", "generator_ba") for kind in ("weight", "bias")}


@pytest.mark.parametrize("mode", MODES)
def test_at_the_start_cycle_and_identity_are_zero_and_push_nowhere(mode: str) -> None:
    torch.manual_seed(0)
    method = residual(mode)
    losses = method.generator_losses(noise(), method.generate(noise()))
    assert losses["cycle"].item() == 0
    assert losses["identity"].item() == 0
    (losses["cycle"] + losses["identity"]).backward()
    found = [weight.grad for weight in method.generators.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in found)


@pytest.mark.parametrize(
    ("mode", "weights", "moved"),
    [
        ("cross", {"adversarial": 0, "pair": 0, "cycle": 10, "identity": 5}, set()),
        ("off", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, set()),
        ("off", {"adversarial": 1, "cycle": 10, "identity": 5}, LAST),
        ("registered", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, LAST),
        ("cross", {"adversarial": 0, "pair": 1, "cycle": 10, "identity": 5}, LAST),
    ],
)
def test_only_adversaries_move_the_generators_at_first(mode: str, weights: dict, moved: set) -> None:
    torch.manual_seed(0)
    method = residual(mode, weights=weights)
    before = parameters(method)
    train(method, once(noise()))
    assert changed(method, before) == moved


@pytest.mark.parametrize(("mode", "pairs"), [("registered", True), ("cross", False), ("cross", True), ("off", False)])
def test_every_mode_trains_with_finite_named_losses(mode: str, pairs: bool) -> None:
    torch.manual_seed(0)
    method, data = residual(mode), dataset(mode, pairs)
    before = {name: value.clone() for name, value in method.named_parameters()}
    trainer = train(method, DataLoader(data, 2, sampler=EpochSampler(data)))  # type: ignore[arg-type]
    assert trainer.state.iteration == 2
    names = {"discriminator_a", "discriminator_b", "adversarial", "cycle", "identity", "loss", "learning_rate"}
    names |= {"discriminator_a_accuracy", "discriminator_b_accuracy"}
    names |= set() if mode == "off" else {"discriminator_pair", "discriminator_pair_accuracy", "pair"}
    metrics = trainer.state.metrics
    assert set(metrics) == names
    assert all(math.isfinite(value) for value in metrics.values())
    expected = sum(weight * metrics[name] for name, weight in ALL.items() if name in metrics)
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)
    assert all(not torch.equal(value, before[name]) for name, value in method.named_parameters())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [-3.0, -1.0, 0.0])
def test_flat_slices_leave_everything_finite(mode: str, value: float) -> None:
    torch.manual_seed(0)
    method = residual(mode, moved=True)
    flat = torch.full((1, 1, 16, 16), value)
    given = [{"image": flat, "label": flat}, {"image": noise()["image"], "label": flat}]
    trainer = train(method, once(*given), epochs=2)  # a loss or gradient that is not finite would stop it
    assert trainer.state.iteration == 4
    assert all(math.isfinite(loss) for loss in trainer.state.metrics.values())
    assert all(torch.isfinite(weight).all() for weight in method.state_dict().values())


@pytest.mark.parametrize("mode", MODES)
def test_air_alone_is_left_alone(mode: str) -> None:
    torch.manual_seed(0)
    method = residual(mode, moved=True)
    before = parameters(method)
    air = torch.full((1, 1, 16, 16), -3.0)
    trainer = train(method, once(*[{"image": air, "label": air}] * 2))
    assert torch.equal(trainer.state.output["pred"], air)
    assert trainer.state.metrics["cycle"] == trainer.state.metrics["identity"] == 0
    assert changed(method, before) == set()

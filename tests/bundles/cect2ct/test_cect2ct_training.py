"""How the residual CycleGAN starts, what moves its generators, that it stays finite, and that a resume repeats it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from cect2ct_rescyclegan.method import ResCycleGan
from cect2ct_toys import ADAM, ALL, CPU, MODES, dataset, residual
from ignite.engine import Events
from same_state import assert_same
from torch import Tensor
from torch.utils.data import DataLoader

from common.data.samplers import EpochSampler
from common.training import SynthesisTrainer
from common.weights import checkpoints


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


EPOCHS = 4
"""Of two steps each."""


def _resumable(mode: str, epochs: int, seed: int) -> SynthesisTrainer:
    torch.manual_seed(seed)
    data = dataset(mode, pairs=mode == "registered")
    loader = DataLoader(data, 2, sampler=EpochSampler(data))  # type: ignore[arg-type]
    return SynthesisTrainer(CPU, epochs, loader, residual(mode, pool_size=3), ADAM, seed=7)


@pytest.fixture(scope="module", params=["registered", "cross"])
def uninterrupted(request: pytest.FixtureRequest) -> tuple[str, dict]:
    trainer = _resumable(request.param, EPOCHS, seed=0)
    trainer.run()
    return request.param, trainer.state_to_save()


def _go_on(mode: str, path: Path) -> dict:
    trainer = _resumable(mode, EPOCHS, seed=99)  # other initial weights, to be replaced
    trainer.load_saved_state(checkpoints.load(path))
    trainer.run()
    return trainer.state_to_save()


def _interrupted(mode: str, path: Path, step: int) -> None:
    trainer = _resumable(mode, EPOCHS, seed=0)

    def stop(engine: SynthesisTrainer) -> None:
        checkpoints.save(engine.state_to_save(), path)
        engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=step), stop)
    trainer.run()
    assert trainer.state.iteration == step


@pytest.mark.parametrize("step", [1, 2, 4, 5], ids=lambda step: f"after step {step}")
def test_a_resumed_run_repeats_an_uninterrupted_one(uninterrupted: tuple, tmp_path: Path, step: int) -> None:
    mode, expected = uninterrupted
    assert {name for name in expected["networks"] if name.startswith("pools.") and name.endswith("images")} == {
        f"pools.{name}.images" for name in ("a", "b", "pair_ab", "pair_ba")
    }
    _interrupted(mode, tmp_path / "last.pt", step)
    found = _go_on(mode, tmp_path / "last.pt")
    assert found["iteration"] == 2 * EPOCHS
    assert_same(found, expected)

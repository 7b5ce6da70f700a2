"""Resumed runs equal uninterrupted ones, or are refused."""

from __future__ import annotations

import copy
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from same_state import assert_same
from torch import nn
from toy_networks import Scale
from toy_training import ADAM, CPU, Pairs, Toy, convolutions, loader, on, scalars

from common.errors import ConfigError
from common.training import SynthesisTrainer
from common.training.schedules import ConstantThenLinear
from common.weights import checkpoints

EPOCH = 4


def _resumable(epochs: int, seed: int, workers: int = 0, handlers: Any = None, **settings: Any) -> SynthesisTrainer:
    torch.manual_seed(seed)
    method = Toy(*convolutions(nn.BatchNorm2d(8), nn.Dropout(0.5)), kind="bce", adversarial=1, l1=10)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2 * EPOCH, 1, 8, 8, generator=generator)
    data = loader(Pairs(images, 1 - images, noise=0.2), batch_size=2, num_workers=workers)
    schedule = partial(ConstantThenLinear, constant_epochs=1, decay_epochs=3)
    chosen = {"ema_decay": 0.9} | settings
    return SynthesisTrainer(CPU, epochs, data, method, ADAM, schedule, seed=7, train_handlers=handlers, **chosen)


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[dict, list[dict]]:
    """State after four epochs and the metrics of each."""
    metrics: list[dict] = []
    note = on(Events.EPOCH_COMPLETED, lambda e: metrics.append(dict(e.state.metrics)))
    trainer = _resumable(4, seed=0, handlers=[note])
    trainer.run()
    return trainer.state_to_save(), metrics


def _go_on(path: Path, workers: int = 0) -> tuple[dict, list[dict]]:
    metrics: list[dict] = []
    note = on(Events.EPOCH_COMPLETED, lambda e: metrics.append(dict(e.state.metrics)))
    trainer = _resumable(4, seed=99, workers=workers, handlers=[note])  # other initial weights, to be replaced
    trainer.load_saved_state(checkpoints.load(path))
    trainer.run()
    return trainer.state_to_save(), metrics


@pytest.mark.parametrize("workers", [0, 2])
def test_two_and_two_epochs_are_four(uninterrupted: tuple[dict, list[dict]], tmp_path: Path, workers: int) -> None:
    trainer = _resumable(2, seed=0, workers=workers)
    trainer.run()
    checkpoints.save(trainer.state_to_save(), tmp_path / "last.pt")
    state, metrics = _go_on(tmp_path / "last.pt", workers)
    assert_same(state, uninterrupted[0])
    assert metrics == uninterrupted[1][2:]


@pytest.mark.parametrize("step", [1, EPOCH + 3, 2 * EPOCH + 2])
def test_going_on_in_the_midst_of_an_epoch(uninterrupted: tuple[dict, list[dict]], tmp_path: Path, step: int) -> None:
    stopped = _resumable(4, seed=0)
    stopped.add_event_handler(Events.ITERATION_COMPLETED(once=step), lambda engine: engine.terminate())
    stopped.run()
    checkpoints.save(stopped.state_to_save(), tmp_path / "last.pt")
    assert checkpoints.load(tmp_path / "last.pt")["iteration"] == step
    state, metrics = _go_on(tmp_path / "last.pt")
    assert_same(state, uninterrupted[0])
    assert metrics == uninterrupted[1][step // EPOCH :]


def test_a_finished_run_does_not_go_on(uninterrupted: tuple[dict, list[dict]]) -> None:
    steps: list[SynthesisTrainer] = []
    trainer = _resumable(4, seed=99, handlers=[on(Events.ITERATION_COMPLETED, steps.append)])
    trainer.add_event_handler(Events.STARTED, lambda engine: engine.load_saved_state(uninterrupted[0]))
    trainer.run()
    assert not steps


@pytest.mark.parametrize("schedule", [None, partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)])
def test_a_resumed_run_takes_its_own_learning_rate_at_the_place_of_the_schedule(schedule: Any) -> None:
    def build(epochs: int, rate: float, critic: float) -> SynthesisTrainer:
        method = Toy(Scale(0.5), Scale(1.0), adversarial=1, l1=1)
        adam = partial(torch.optim.Adam, lr=rate)
        settings = {"schedule": schedule, "discriminator_rate": critic}
        return SynthesisTrainer(CPU, epochs, loader(scalars((1, 3))), method, adam, **settings)

    first = build(2, 0.5, 0.25)
    first.run()
    resumed = build(3, 0.125, 0.0625)
    resumed.load_saved_state(copy.deepcopy(first.state_to_save()))
    halvings = 0 if schedule is None else 2
    rates = {name: each.param_groups[0]["lr"] for name, each in resumed.optimizers.items()}
    assert rates == {"generators": 0.125 / 2**halvings, "discriminators": 0.0625 / 2**halvings}
    resumed.run()
    assert resumed.state.epoch == 3
    assert resumed.optimizers["generators"].param_groups[0]["lr"] == 0.125 / 2 ** (halvings and 3)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda saved: {"epoch_length": 9},
            "an epoch has 4 steps, 9 in the run to resume: use its data, --batch_size, --samples_per_epoch",
        ),
        (lambda saved: {"seed": 8}, "--seed is 7, but 8 in the run to resume: set it as it was"),
        (lambda saved: {"schedulers": []}, "--schedule is on, but off in the run to resume: set it"),
        (
            lambda saved: {"optimizers": {"generators": saved["optimizers"]["generators"]}},
            "training of discriminators is on, but off in the run to resume: set it",
        ),
        (
            lambda saved: {"networks": Toy(*convolutions(), adversarial=1, l1=10).state_dict()},
            "weights have other names or shapes than in the run to resume: use its",
        ),
    ],
)
def test_what_differs_from_the_run_is_refused(change: Any, found: str) -> None:
    saved = _resumable(1, seed=0).state_to_save()
    with pytest.raises(ConfigError, match=found):
        _resumable(1, seed=0).load_saved_state(saved | change(saved))


@pytest.mark.parametrize(("before", "now", "found"), [(0.9, None, "off, but on"), (None, 0.9, "on, but off")])
def test_switching_the_moving_average_is_refused(before: float | None, now: float | None, found: str) -> None:
    saved = _resumable(1, seed=0, ema_decay=before).state_to_save()
    with pytest.raises(ConfigError, match=f"--ema_decay is {found} in the run to resume: set it"):
        _resumable(1, seed=0, ema_decay=now).load_saved_state(saved)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda value: value.to_sparse(), "torch.sparse_coo"),
        (lambda value: value.to(torch.complex64), "torch.complex64"),
        (lambda value: value.to("meta"), "on meta"),
        (lambda value: value * torch.nan, "is not finite"),
        (lambda value: value.tolist(), "is a list"),
    ],
)
def test_tensors_that_hold_no_numbers_like_the_trainer_s_are_refused(change: Any, found: str) -> None:
    trainer = _resumable(1, seed=0)
    trainer.run()
    for part in ("networks", "ema", "optimizers"):
        saved = copy.deepcopy(trainer.state_to_save())
        held = saved[part]["generators"]["state"][0] if part == "optimizers" else saved[part]
        name = next(name for name, value in held.items() if isinstance(value, torch.Tensor) and value.dim() > 1)
        held[name] = change(held[name])
        with pytest.raises(ValueError, match=rf"{re.escape(name)} .*{found}"):
            _resumable(2, seed=0).load_saved_state(saved)


def test_the_state_of_an_optimiser_has_the_shapes_of_its_weights() -> None:
    trainer = _resumable(1, seed=0)
    trainer.run()
    saved = trainer.state_to_save()
    saved["optimizers"]["generators"]["state"][0]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"optimizer state 0, exp_avg has shape \(3,\) instead of \(8, 1, 3, 3\)"):
        _resumable(2, seed=0).load_saved_state(saved)

"""A resumed training repeats an uninterrupted one, image pools included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cect2ct_toys import ADAM, CPU, dataset, residual
from ignite.engine import Events
from same_state import assert_same
from torch.utils.data import DataLoader

from common.data.samplers import EpochSampler
from common.training import SynthesisTrainer
from common.weights import checkpoints

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


def _go_on(mode: str, path: Path, change: Callable[[dict], None] = lambda networks: None) -> dict:
    saved = checkpoints.load(path)
    change(saved["networks"])
    trainer = _resumable(mode, EPOCHS, seed=99)  # other initial weights, to be replaced
    trainer.load_saved_state(saved)
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

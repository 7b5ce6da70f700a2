"""The progress bar, the TensorBoard events and the picture of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.engines import SupervisedEvaluator
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader
from toy_networks import Scale
from toy_training import CPU, SGD, Toy, loader, scalars, train

from common import devices
from common.training import SynthesisTrainer
from common.training.handlers import Progress
from common.training.handlers.picture import write_picture

NUMBERS = loader(scalars(*((float(n), float(n)) for n in range(1, 7))))


def run(*handlers: object, epochs: int = 1) -> SynthesisTrainer:
    return train(Toy(Scale(0.5), Scale(1.0), l1=1), NUMBERS, epochs=epochs, train_handlers=[*handlers])


def test_a_terminal_gets_a_bar_of_the_first_process_and_a_file_none(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(Progress(str(tmp_path)), epochs=2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(Progress(str(tmp_path)), epochs=2)
    assert "epoch 2/2: " in capsys.readouterr().err
    monkeypatch.setattr(devices, "rank", lambda: 1)
    run(Progress(str(tmp_path), tensorboard=True))
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "events").exists()


def test_events_hold_the_loss_of_every_step_and_the_metrics_of_every_epoch(tmp_path: Path) -> None:
    trainer = run(Progress(str(tmp_path), tensorboard=True), epochs=2)
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    tags = events.Tags()["scalars"]
    losses = next(events.Scalars(tag) for tag in tags if len(events.Scalars(tag)) == 12)
    assert [event.step for event in losses] == list(range(1, 13))
    (epoch_losses,) = (events.Scalars(tag) for tag in tags if tag == "loss" and len(events.Scalars(tag)) == 2)
    assert epoch_losses[-1].value == pytest.approx(trainer.state.metrics["loss"])


def picture(path: Path, image: torch.Tensor, label: torch.Tensor) -> np.ndarray:
    """Of a network that halves its input."""
    method = Toy(Scale(0.5), Scale(1.0), l1=1)
    engine = SynthesisTrainer(CPU, 1, loader(scalars((1, 3))), method, SGD)
    data = DataLoader([{"image": image, "label": label}])  # type: ignore[arg-type]
    validator = SupervisedEvaluator(CPU, data, method.deployed)
    method.train()
    write_picture(path, engine, validator)
    assert method.deployed.training
    return np.asarray(Image.open(path))


def test_source_output_and_target_lie_side_by_side_with_the_front_up(tmp_path: Path) -> None:
    """Of three axial slices the middle one; -1, -0.5, 0, 0.5 and 1 are 0, 64, 128, 191 and 255, half to even."""
    source = torch.full((1, 2, 2, 3), 0.3)
    source[0, :, :, 1] = torch.tensor([[-1.0, 1.0], [0.0, 4.0]])  # first axis left to right, second back to front
    found = picture(tmp_path / "a" / "picture.png", source, torch.zeros(1, 2, 2, 3))
    assert found.tolist() == [[255, 255, 191, 255, 128, 128], [0, 128, 64, 128, 128, 128]]

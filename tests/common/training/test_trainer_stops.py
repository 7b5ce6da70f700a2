"""Conditions that stop a run before it starts, or before the weights change."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch import nn
from toy_networks import Scale
from toy_training import CPU, SGD, Pairs, Toy, loader, on, scalars, weight_of

from common.data.samplers import EpochSampler
from common.errors import ConfigError, TrainingError
from common.losses import l1
from common.training import SynthesisTrainer
from common.training.methods.base import Batch, GanMethod, Losses


def _stopped(method: GanMethod, data: Iterable, match: str, **settings: Any) -> tuple[SynthesisTrainer, list[dict]]:
    """A trainer that stopped, and all weights after each good step."""
    states: list[dict] = []
    note = on(
        Events.ITERATION_COMPLETED,
        lambda e: states.append({name: value.clone() for name, value in method.state_dict().items()}),
    )
    trainer = SynthesisTrainer(CPU, 3, data, method, SGD, train_handlers=[note], **settings)
    with pytest.raises(TrainingError, match=match):
        trainer.run()
    return trainer, states


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("adversarial", [0, 1])
def test_a_loss_that_is_not_finite_stops_and_names_step_and_case(value: float, adversarial: int) -> None:
    data = scalars((1, 3), (2, 1), (0.5, 1), (1, -1), (3, 2))
    data.labels[3] = value
    order = [index for _, index in EpochSampler(data)]
    step = order.index(3) + 1
    assert step > 1
    method = Toy(Scale(0.5), Scale(1.0), adversarial=adversarial, l1=1)
    match = (
        rf"^loss or gradient is NaN or infinite at step {step}, case \['case_3'\]: check that case, "
        "lower --learning_rate or set --precision fp32, and start again$"  # of the first epoch is no checkpoint
    )
    trainer, states = _stopped(method, loader(data), match)
    assert trainer.state.iteration == step
    assert len(states) == step - 1
    for name, good in states[-1].items():
        assert torch.equal(method.state_dict()[name], good), name


class _RootOfDistance(Toy):
    """Its loss is finite where prediction and label agree, its gradient is not."""

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        return {"l1": l1(fakes["pred"], batch["label"]).sqrt()}


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights() -> None:
    # an infinite slope at zero distance, times zero: the loss is 0, the gradient NaN
    method = _RootOfDistance(Scale(0.5), Scale(1.0), l1=1)
    _stopped(method, loader(scalars((2, 1))), r"NaN or infinite at step 1, case \['case_0'\]: ")
    assert weight_of(method.generators["g"]) == 0.5


@pytest.mark.parametrize(
    ("precision", "processor", "warned"),
    [("bf16", "AVX2", 1), ("bf16", "AVX512", 0), ("fp16", "AVX2", 1), ("fp32", "AVX2", 0)],
)
def test_half_precision_that_a_processor_only_emulates_is_logged(
    monkeypatch, caplog, precision, processor, warned
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    SynthesisTrainer(CPU, 1, loader(scalars((1, 3))), Toy(Scale(0.5), Scale(1.0), l1=1), SGD, precision=precision)
    said = [record.getMessage() for record in caplog.records if "precision" in record.getMessage()]
    assert len(said) == warned
    assert all(f"--precision {precision} takes some ten times as long as fp32" in text for text in said)


@pytest.mark.parametrize(("size", "refused"), [((1, 5), True), ((2, 5), False), ((5, 4, 2), True), ((5, 4, 3), False)])
def test_maps_too_small_for_gradients_in_bf16_are_refused(size: tuple[int, ...], refused: bool) -> None:
    generator = (nn.Conv2d if len(size) == 2 else nn.Conv3d)(1, 1, 3, padding=1)
    data = loader(Pairs(torch.rand(2, 1, *size), torch.rand(2, 1, *size)), 2)
    trainer = SynthesisTrainer(CPU, 1, data, Toy(generator, Scale(1.0), l1=1), SGD, precision="bf16")
    fault = f"a map of {min(size)} voxels a side, too few for gradients in bf16 on a CPU: set --precision fp32"
    with pytest.raises(ConfigError, match=fault) if refused else nullcontext():
        trainer.run()


def test_images_of_other_channels_than_the_networks_are_named() -> None:
    data = loader(Pairs(torch.rand(2, 3, 5, 5), torch.rand(2, 1, 5, 5)), 2)
    method = Toy(nn.Conv2d(2, 1, 3, padding=1), Scale(1.0), l1=1)
    with pytest.raises(ConfigError, match="a network takes 2 channels, but its images have 3: give as many files of"):
        SynthesisTrainer(CPU, 1, data, method, SGD).run()


def test_too_few_samples_for_one_batch() -> None:
    data = loader(scalars((1, 3), (2, 1)), batch_size=4, drop_last=True)
    with pytest.raises(
        ConfigError,
        match=r"is 4, more than the samples .*: lower it, raise --samples_per_epoch",
    ):
        SynthesisTrainer(CPU, 1, data, Toy(Scale(0.5), Scale(1.0), l1=1), SGD)

from __future__ import annotations

import pytest
import torch
from toy_networks import Scale
from toy_training import CPU, SGD, Toy, loader, scalars

from common.plan.measure import measured_step
from common.training import SynthesisTrainer


def trainer_of(generator: torch.nn.Module, **settings: object) -> SynthesisTrainer:
    method = Toy(generator, Scale(1.0), adversarial=1.0)
    return SynthesisTrainer(CPU, 1, loader(scalars(*[(1, 2)] * 20)), method, SGD, **settings)


@pytest.mark.parametrize(("settings", "steps"), [({}, 2), ({"critic_steps": 3}, 6), ({"accumulation_steps": 2}, 4)])
def test_the_second_turn_of_a_training_is_measured_and_ends_it(settings, steps) -> None:
    trainer = trainer_of(Scale(1.0), **settings)
    step = measured_step(trainer)
    assert trainer.state.iteration == steps
    assert step is not None
    assert step.seconds > 0
    assert step.memory_gb is None, "peaks of a CPU's process are not those of a step"


def test_too_little_memory_is_no_step() -> None:
    class Large(Scale):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError

    assert measured_step(trainer_of(Large(1.0))) is None

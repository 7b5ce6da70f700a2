"""Validation during training."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from torch import nn
from toy_networks import Scale
from toy_training import CPU, Toy, loader, scalars, train

from common.training.handlers import Validation


def test_validation_comes_after_the_last_epoch_too() -> None:
    validated: list[int] = []
    evaluator = SupervisedEvaluator(CPU, [{"image": torch.zeros(1, 1, 8, 8)}], nn.Identity())
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: validated.append(engine.state.epoch))
    handlers = [Validation(interval=2, validator=evaluator)]
    train(Toy(Scale(0.5), Scale(1.0), l1=1), loader(scalars((1, 3))), epochs=5, train_handlers=handlers)
    assert validated == [2, 4, 5]


def test_without_cases_nothing_is_validated_and_nothing_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    evaluator = SupervisedEvaluator(CPU, [], nn.Identity())
    handlers = [Validation(interval=1, validator=evaluator)]
    train(Toy(Scale(0.5), Scale(1.0), l1=1), loader(scalars((1, 3))), epochs=1, train_handlers=handlers)
    assert not [each for each in recwarn if "empty" in str(each.message)]

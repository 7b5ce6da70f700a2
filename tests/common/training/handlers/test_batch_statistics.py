from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from same_state import assert_same
from torch import nn
from toy_networks import Scale
from toy_training import ADAM, CPU, Toy, convolutions, loader, regression, scalars, train

from common.training import SynthesisTrainer
from common.training.handlers import Validation
from common.training.handlers.batch_statistics import EpochStatistics


class Listener:
    """Notes what is attached and fires nothing."""

    def __init__(self, network, iteration=0):
        self.method = SimpleNamespace(deployed=network)
        self.state = SimpleNamespace(iteration=iteration, epoch_length=10)

    def add_event_handler(self, event, handler):
        self.forget = handler


def averaging(network, iteration=0):
    engine = Listener(network, iteration)
    EpochStatistics().attach(engine)
    return engine


@pytest.mark.parametrize(("iteration", "mean"), [(20, 0.0), (24, 5.0)])
def test_an_epoch_resets_the_statistics_but_not_a_resumed_one(iteration, mean):
    network = nn.Sequential(nn.BatchNorm1d(1))
    engine = averaging(network, iteration)
    network(torch.full((2, 1), 5.0))
    engine.forget(engine)
    assert network[0].running_mean.item() == mean


@pytest.mark.parametrize("dimensions", [2, 3])
def test_mean_and_variance_are_numpys_of_each_batch_and_those_of_momentum_none(dimensions):
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dimensions]
    ours, theirs = norm(3), norm(3, momentum=None)
    averaging(nn.Sequential(ours))
    generator = torch.Generator().manual_seed(0)
    batches = [200 + 50 * torch.randn(2, 3, *[5] * dimensions, generator=generator) for _ in range(40)]
    for batch in batches:
        assert torch.equal(ours(batch), theirs(batch))  # the output of training has the statistics of the batch alone
    whole = [batch.double().transpose(0, 1).flatten(1) for batch in batches]
    mean, variance = (torch.stack(each).mean(0) for each in ([x.mean(1) for x in whole], [x.var(1) for x in whole]))
    for one in (ours, theirs):
        torch.testing.assert_close(one.running_mean.double(), mean, rtol=1e-5, atol=0)
        torch.testing.assert_close(one.running_var.double(), variance, rtol=1e-5, atol=0)
    assert ours.num_batches_tracked == theirs.num_batches_tracked == 40
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_evaluation_neither_changes_nor_forgets_the_average():
    layer = nn.BatchNorm1d(1)
    averaging(nn.Sequential(layer))
    layer(torch.tensor([[1.0], [3.0]]))
    layer.eval()(torch.tensor([[100.0], [300.0]]))
    layer.train()(torch.tensor([[5.0], [9.0]]))
    assert layer.running_mean.item() == pytest.approx(4.5)  # of 2 and 7
    assert layer.running_var.item() == pytest.approx(5.0)  # of 2 and 8


def test_an_epoch_resumed_in_its_middle_has_the_average_of_the_whole():
    def trainer():
        torch.manual_seed(0)
        method = Toy(*convolutions(nn.BatchNorm2d(8)), adversarial=1.0, l1=10.0)
        return SynthesisTrainer(CPU, 1, loader(regression(6)), method, ADAM, train_handlers=[EpochStatistics()])

    whole, stopped, resumed = trainer(), trainer(), trainer()
    whole.run()
    stopped.add_event_handler(Events.ITERATION_COMPLETED(once=4), lambda engine: engine.terminate())
    stopped.run()
    resumed.load_saved_state(stopped.state_to_save())
    assert (resumed.state.iteration, resumed.method.deployed[1].num_batches_tracked) == (4, 4)
    resumed.run()
    assert_same(resumed.state_to_save()["networks"], whole.state_to_save()["networks"])
    assert resumed.method.deployed[1].num_batches_tracked == 6


def test_validation_comes_after_the_last_epoch_too() -> None:
    validated: list[int] = []
    evaluator = SupervisedEvaluator(CPU, [{"image": torch.zeros(1, 1, 8, 8)}], nn.Identity())
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: validated.append(engine.state.epoch))
    handlers = [Validation(interval=2, validator=evaluator)]
    train(Toy(Scale(0.5), Scale(1.0), l1=1), loader(scalars((1, 3))), epochs=5, train_handlers=handlers)
    assert validated == [2, 4, 5]

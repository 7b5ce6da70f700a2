from types import SimpleNamespace

import pytest
import torch
from torch import nn

from common.handlers.batch_statistics import EpochStatistics


def trainer(iteration):
    network = nn.Sequential(nn.BatchNorm1d(1))
    state = SimpleNamespace(iteration=iteration, epoch_length=10)
    return network, SimpleNamespace(method=SimpleNamespace(deployed=network), state=state)


def test_the_mean_is_that_of_all_batches_alike():
    network, engine = trainer(0)
    EpochStatistics().gather(engine)
    for value in (0.0, 3.0, 9.0):
        network(torch.full((2, 1), value))
    assert network[0].running_mean.item() == pytest.approx(4.0)


@pytest.mark.parametrize(("iteration", "mean"), [(20, 0.0), (24, 5.0)])
def test_an_epoch_resets_the_statistics_but_not_a_resumed_one(iteration, mean):
    network, engine = trainer(iteration)
    EpochStatistics().gather(engine)
    network(torch.full((2, 1), 5.0))
    EpochStatistics().forget(engine)
    assert network[0].running_mean.item() == mean

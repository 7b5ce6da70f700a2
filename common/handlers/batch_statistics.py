"""Running statistics of batch normalisation where batches are small and unlike each other."""

from __future__ import annotations

from ignite.engine import Events
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.engines.trainer import AdversarialTrainer


class EpochStatistics:
    """Handler by which batch normalisation keeps the mean over all batches of an epoch, not that of the last ten or so.

    PyTorch's moving average forgets at a rate of a tenth a batch. Where a batch is two patches of one simulated head
    each, what it remembers is those last heads, and inference suffers (Wu and Johnson 2021). Costs nothing: the mean is
    gathered while training, over weights that hardly move any more in an epoch at the end of its schedule.
    """

    def attach(self, engine: AdversarialTrainer) -> None:
        """Follow ``engine``."""
        engine.add_event_handler(Events.STARTED, self.gather)
        engine.add_event_handler(Events.EPOCH_STARTED, self.forget)

    def gather(self, engine: AdversarialTrainer) -> None:
        """From now on every batch counts alike."""
        for layer in _layers(engine.method.deployed):
            layer.momentum = None

    def forget(self, engine: AdversarialTrainer) -> None:
        """Begin anew with each epoch, but not where one is resumed in its midst."""
        if engine.state.iteration % engine.state.epoch_length == 0:
            for layer in _layers(engine.method.deployed):
                layer.reset_running_stats()


def _layers(network: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]

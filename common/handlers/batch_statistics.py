"""Running statistics of batch normalisation, averaged over an epoch."""

from __future__ import annotations

from ignite.engine import Events
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.engines.trainer import SynthesisTrainer


class EpochStatistics:
    """Handler that averages the running statistics of batch normalisation over all batches of an epoch.

    PyTorch's moving average with momentum 0.1 holds about the last ten batches. Where each of them is two patches of
    one simulated head, it describes those few heads, and inference suffers (Wu and Johnson 2021). The mean needs no
    further pass over the data: it is taken during training, at whose end the weights hardly change within an epoch.
    """

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine``."""
        engine.add_event_handler(Events.STARTED, self.gather)
        engine.add_event_handler(Events.EPOCH_STARTED, self.forget)

    def gather(self, engine: SynthesisTrainer) -> None:
        """Give all batches the same weight from now on."""
        for layer in _layers(engine.method.deployed):
            layer.momentum = None

    def forget(self, engine: SynthesisTrainer) -> None:
        """Reset the statistics at the start of an epoch, but not in the middle of a resumed one."""
        if engine.state.iteration % engine.state.epoch_length == 0:
            for layer in _layers(engine.method.deployed):
                layer.reset_running_stats()


def _layers(network: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]

"""Running statistics of batch normalisation, averaged over an epoch."""

from __future__ import annotations

import torch
from ignite.engine import Events
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..trainer import SynthesisTrainer


class EpochStatistics:
    """Handler that averages the running statistics of batch normalisation over all batches of an epoch.

    PyTorch's moving average with momentum 0.1 holds about the last ten batches. Where each of them is two patches of
    one simulated head, it describes those few heads, and inference suffers (Wu and Johnson 2021). The mean needs no
    further pass over the data: it is taken during training, at whose end the weights hardly change within an epoch.

    The values are those of ``momentum=None``, up to rounding. That setting reads the count of batches back from the
    device at each forward pass, though, and a step that does so cannot be recorded as a CUDA graph.
    """

    def attach(self, engine: SynthesisTrainer) -> None:
        """Give all batches the same weight from now on, and start again with each epoch of ``engine``."""
        for layer in _layers(engine.method.deployed):
            BatchAverage(layer)
        engine.add_event_handler(Events.EPOCH_STARTED, self.forget)

    def forget(self, engine: SynthesisTrainer) -> None:
        """Reset the statistics at the start of an epoch, but not in the middle of a resumed one."""
        if engine.state.iteration % engine.state.epoch_length == 0:
            for layer in _layers(engine.method.deployed):
                layer.reset_running_stats()


class BatchAverage:
    """Makes the running mean and variance of a layer the plain averages of those of all batches since its reset.

    After n batches m_n = m_(n-1) + (b_n - m_(n-1)) / n, n being ``num_batches_tracked``. All of it stays on the device,
    in the layer's own buffers, which are saved and resumed as ever.

    Args:
        layer: of batch normalisation, of any number of dimensions; it is changed in place.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        self._before: list[Tensor] = []
        layer.momentum = 1.0  # the layer writes the statistics of the batch alone, which are averaged after it
        layer.register_forward_pre_hook(self._keep)
        layer.register_forward_hook(self._average)

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._before = [running.clone() for running in _running(layer)] if layer.training else []

    def _average(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._before:
            share = layer.num_batches_tracked.to(self._before[0].dtype).reciprocal()  # type: ignore[operator]
            for before, running in zip(self._before, _running(layer), strict=True):
                running.copy_(torch.lerp(before, running, share))


def _running(layer: nn.Module) -> list[Tensor]:
    """Its running mean and variance, whose changes autograd does not see: its backward pass has no need of them."""
    return [layer.running_mean.data, layer.running_var.data]  # type: ignore[list-item]


def _layers(network: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]

"""Training steps as CUDA graphs: recorded once, replayed with new data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from torch import Tensor

from common.engines.step import GanStep, StepResult

WARM_UP = 3
"""Steps run eagerly before recording, in which libraries choose kernels and optimisers create their state."""
MAX_GRAPHS = 4
"""Recordings kept, each of which holds memory; batches of further shapes run eagerly."""


class GraphedStep:
    """A :class:`GanStep` that is replayed as a CUDA graph from the fourth batch of each shape on.

    The next step overwrites the tensors of the result. A step draws its random numbers from PyTorch's generator as it
    is seeded before the call, like an eager step.

    Args:
        step: to record.
        device: a CUDA device.
    """

    def __init__(self, step: GanStep, device: torch.device) -> None:
        self.step = step
        self.stream = torch.cuda.Stream(device)
        self._seen: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, tuple[torch.cuda.CUDAGraph, dict[str, Tensor], StepResult]] = {}

    def __call__(self, batch: Mapping[str, Tensor], window: int = 1, last: bool = True) -> StepResult:
        """Run or replay the step; ``window`` is 1 and ``last`` true."""
        shapes = tuple((name, tuple(value.shape), value.dtype) for name, value in sorted(batch.items()))
        kind: Hashable = (self.step.method.variation, shapes)
        if kind not in self._recorded:
            self._seen[kind] = self._seen.get(kind, 0) + 1
            if self._seen[kind] <= WARM_UP or len(self._recorded) >= MAX_GRAPHS:
                return self._run_eagerly(batch)
            self._record(kind, batch)
        graph, inputs, result = self._recorded[kind]
        for name, value in batch.items():
            inputs[name].copy_(value, non_blocking=True)
        graph.replay()
        return result

    def _run_eagerly(self, batch: Mapping[str, Tensor]) -> StepResult:
        """Run on the stream that will record, since gradients keep the stream they were created on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = self.step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def _record(self, kind: Hashable, batch: Mapping[str, Tensor]) -> None:
        inputs = {name: value.clone() for name, value in batch.items()}
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            result = self.step(inputs)
        self._recorded[kind] = graph, inputs, result

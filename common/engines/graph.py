"""A whole training step as one CUDA graph: recorded once, replayed with new data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from torch import Tensor

from common.engines.step import GanStep, StepResult

WARM_UP = 3
"""Steps run eagerly, as real ones, before recording: libraries choose their kernels, optimisers make their state."""
MOST_GRAPHS = 4
"""Recordings kept, each with its memory; batches of still another shape run eagerly."""


class GraphedStep:
    """Does what a :class:`GanStep` does, replaying it from the fourth batch of a shape on.

    Tensors of the result are overwritten by the next step. The random numbers of a step are those of PyTorch's
    generator as it is seeded before the call, as in an eager step.

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
            if self._seen[kind] <= WARM_UP or len(self._recorded) >= MOST_GRAPHS:
                return self._aside(batch)
            self._record(kind, batch)
        graph, inputs, result = self._recorded[kind]
        for name, value in batch.items():
            inputs[name].copy_(value, non_blocking=True)
        graph.replay()
        return result

    def _aside(self, batch: Mapping[str, Tensor]) -> StepResult:
        """Eagerly, on the stream that will record: gradients remember the stream they were made on."""
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

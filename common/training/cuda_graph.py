"""Training steps as CUDA graphs: recorded once, replayed with new data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from functools import partial

import torch
from torch import Tensor

from .step import GanStep, StepResult

logger = logging.getLogger(__name__)
WARM_UP = 3
"""Steps run eagerly before recording, in which libraries choose kernels and optimisers create their state."""
MAX_GRAPHS = 4
"""Recordings kept; each holds memory. Batches of further shapes run eagerly."""


class GraphedStep:
    """A :class:`GanStep` that is replayed as a CUDA graph from the fourth batch of each shape on.

    The next step overwrites the tensors of the result. A step draws its random numbers from PyTorch's generator as it
    is seeded before the call, like an eager step. A step that cannot be recorded, for whatever reason, and all later
    ones, run eagerly; one warning gives the reason.

    Args:
        step: to record.
        device: a CUDA device.
    """

    def __init__(self, step: GanStep, device: torch.device) -> None:
        self.step = step
        self.stream = torch.cuda.Stream(device)
        self._fails = False
        self._seen: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, tuple[torch.cuda.CUDAGraph, dict[str, Tensor], StepResult]] = {}

    @property
    def recordings(self) -> int:
        """Graphs that steps are replayed from; 0 before the first and where the step cannot be recorded."""
        return 0 if self._fails else len(self._recorded)

    def __call__(
        self, batch: Mapping[str, Tensor], window: int = 1, last: bool = True, critics_alone: bool = False
    ) -> StepResult:
        """Run or replay the step; ``window`` is 1, ``last`` true. Critics alone have a graph of their own."""
        shapes = tuple((name, tuple(value.shape), value.dtype) for name, value in sorted(batch.items()))
        kind: Hashable = (self.step.method.variation, critics_alone, shapes)
        step = partial(self.step, critics_alone=True) if critics_alone else self.step
        if kind not in self._recorded:
            self._seen[kind] = self._seen.get(kind, 0) + 1
            if self._fails or self._seen[kind] <= WARM_UP or len(self._recorded) >= MAX_GRAPHS:
                return self._run_eagerly(step, batch)
            if not self._record(kind, step, batch):
                return self._run_eagerly(step, batch)
        graph, inputs, result = self._recorded[kind]
        for name, value in batch.items():
            inputs[name].copy_(value, non_blocking=True)
        graph.replay()
        return result

    def _run_eagerly(self, step: Callable[..., StepResult], batch: Mapping[str, Tensor]) -> StepResult:
        """Run on the stream that will record, since gradients keep the stream they were created on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = step(batch)
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def _record(self, kind: Hashable, step: Callable[..., StepResult], batch: Mapping[str, Tensor]) -> bool:
        """Record the step; whether that succeeded. Recording computes nothing, so that no tensor changes by it."""
        inputs = {name: value.clone() for name, value in batch.items()}
        graph, random = torch.cuda.CUDAGraph(), torch.get_rng_state()
        try:
            # other threads, which pin batches or copy checkpoints, may call the driver meanwhile
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                result = step(inputs)
        except Exception as error:  # such as a layer that reads a value back, or too little memory
            cause = error.__context__ or error  # ending a broken recording raises an error of its own
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            logger.warning(f"--acceleration::cuda_graph is off: the step cannot be recorded here ({reason})")
            self._fails = True
            torch.set_rng_state(random)
            for optimizer in self.step.optimizers.values():
                optimizer.zero_grad(set_to_none=True)  # gradients of a step that was never computed
            return False
        self._recorded[kind] = graph, inputs, result
        return True

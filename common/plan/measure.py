"""Time and memory of a training step, measured on the device that will train: nothing is estimated."""

from __future__ import annotations

from time import perf_counter
from typing import NamedTuple

import torch
from ignite.engine import Engine, Events

from ..training import SynthesisTrainer

GB = 1e9


class Step(NamedTuple):
    """Seconds of a step; on a CUDA device its peak memory in GB of 10^9 bytes, with weights, optimiser and batch."""

    seconds: float
    memory_gb: float | None


def measured_step(trainer: SynthesisTrainer) -> Step | None:
    """Train for two steps and measure the second; the first one chooses kernels and allocates the optimiser's moments.

    Where critics have steps of their own, or gradients are accumulated, these are turns of several steps. Of a cascade
    it is a step of the first stage; the generators of later ones have one input more.

    Args:
        trainer: with two turns of steps in an epoch at least.

    Returns:
        A step, or None where the device has not enough memory for it.
    """
    device, turn = trainer.state.device, trainer.critic_steps * trainer.accumulation_steps
    times = []

    def note(engine: Engine) -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        times.append(perf_counter())

    trainer.add_event_handler(Events.ITERATION_STARTED(once=turn + 1), note)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2 * turn), note)
    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2 * turn), lambda engine: engine.terminate())
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        trainer.run()
    except torch.OutOfMemoryError:
        return None
    memory = torch.cuda.max_memory_allocated(device) / GB if is_cuda else None
    return Step((times[1] - times[0]) / turn, memory)

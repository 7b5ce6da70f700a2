"""How long a training will take, measured on its first steps."""

from __future__ import annotations

import logging
from time import monotonic

import torch
from ignite.engine import Events
from tqdm import tqdm

from ...runs.durations import spoken
from .. import SynthesisTrainer

logger = logging.getLogger(__name__)
WARM_UP = 5
"""Steps that are not measured: libraries choose kernels, the allocator grows, a CUDA graph is recorded."""
MOST_STEPS, MOST_SECONDS = 50, 5.0
"""The measurement ends with whichever is reached first."""


class Duration:
    """Handler that logs once how long the run will take: the steps that are left times the seconds of a measured one;
    and what these steps took of a GPU's memory, measured too. A validation may need more.

    It waits for the device when the measurement begins and ends, and at the end of an epoch, when the losses are read.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._since = self._seconds = 0.0
        self._is_known = False

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine``; attach it after what prepares an epoch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._resume)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)

    def _resume(self) -> None:
        self._since = monotonic()  # what happens between two epochs is no step

    def _measure(self, engine: SynthesisTrainer) -> None:
        if self._is_known:
            return
        self._steps += 1
        measured, state = self._steps - WARM_UP, engine.state
        self._is_known = self._is_enough(measured, engine.critic_steps * engine.accumulation_steps)
        if self._is_known or measured == 0 or state.iteration % state.epoch_length == 0:
            if state.device.type != "cpu":
                torch.accelerator.synchronize(state.device)
            now = monotonic()
            self._seconds += now - self._since if measured > 0 else 0
            self._since = now
        if self._is_known:
            self._log(engine, self._seconds / measured)

    def _is_enough(self, measured: int, turn: int) -> bool:
        """Whether so many steps are, all of whole turns of steps that differ, such as those of critics alone."""
        seconds = self._seconds + monotonic() - self._since
        return measured > 0 and measured % turn == 0 and (measured >= MOST_STEPS or seconds >= MOST_SECONDS)

    def _log(self, engine: SynthesisTrainer, seconds: float) -> None:
        left = engine.state.max_epochs * engine.state.epoch_length - engine.state.iteration
        minutes = left * seconds / 60
        text = f"training takes about {spoken(minutes)}, without validation: {left} steps of {seconds:.2g} s are left"
        if (device := engine.state.device).type == "cuda":
            held = torch.cuda.max_memory_reserved(device) / 1e9
            text += f", and {held:.1f} GB of the GPU's memory"
        with tqdm.external_write_mode():  # a bar makes way for the line
            logger.info(text)

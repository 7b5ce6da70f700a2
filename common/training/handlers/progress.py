"""Progress of a run: a bar on a terminal, how long it will take, and TensorBoard events."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path

from ignite.engine import Events
from monai.handlers import TensorBoardStatsHandler
from monai.utils import CommonKeys
from tqdm import tqdm

from ... import devices
from .. import SynthesisTrainer
from .duration import Duration


class Progress:
    """Handler that shows a bar over each epoch on a terminal, and logs how long the run will take.

    Attach it after the run's folder, which is locked, and in which an earlier run is set aside, when the run starts.

    Args:
        run_dir: receives ``events/`` for TensorBoard.
        tensorboard: whether to write events (the loss of each step, the metrics of each epoch).
    """

    def __init__(self, run_dir: str, tensorboard: bool = False) -> None:
        self.run_dir = run_dir
        self.tensorboard = tensorboard
        self._bar = tqdm(disable=True)
        self._events: TensorBoardStatsHandler | None = None

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine``, on the first process only."""
        if devices.rank() == 0:
            engine.add_event_handler(Events.EPOCH_STARTED, self._open)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
            engine.add_event_handler(Events.TERMINATE, lambda: self._bar.close())
            Duration().attach(engine)
            if self.tensorboard:
                engine.add_event_handler(Events.STARTED, self._write_events)

    def _write_events(self, engine: SynthesisTrainer) -> None:
        """Begin the events of a run, whose folder is locked by now and has no earlier events."""
        if self._events is None:
            events = str(Path(self.run_dir, "events"))
            self._events = TensorBoardStatsHandler(log_dir=events, output_transform=itemgetter(CommonKeys.LOSS))
            self._events.attach(engine)

    def _open(self, engine: SynthesisTrainer) -> None:
        state = engine.state
        done = state.iteration - (state.epoch - 1) * state.epoch_length
        title = f"epoch {state.epoch}/{state.max_epochs}"
        shown = {"desc": title, "unit": "step", "leave": False, "mininterval": 1, "disable": None}
        self._bar = tqdm(total=state.epoch_length, initial=done, **shown)

    def _step(self, engine: SynthesisTrainer) -> None:
        self._bar.update()
        if engine.state.iteration % engine.state.epoch_length == 0:
            self._bar.close()  # before the validation, whose lines would follow it on its own

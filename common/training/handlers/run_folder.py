"""The folder of a run: checkpoints, log, settings, earlier runs, resume."""

from __future__ import annotations

import csv
import json
import logging
import math
import shutil
import signal
from collections.abc import Mapping, Sized
from pathlib import Path
from time import monotonic
from typing import Any, cast

from ignite.engine import Events
from monai.engines import SupervisedEvaluator

from ... import devices
from ...config.record import RunRecord, config_of
from ...data.split_record import DATALIST_NAME, move_split, write_split
from ...errors import CheckpointError, ConfigError, OutputError, UserError, choose
from ...files import as_cell, remove_unfinished, write_text, write_whole
from ...runs.versions import software_versions
from ...weights import checkpoints, info
from ...weights.info import RUN_NAME
from ...weights.module_names import portable
from ...weights.shipped import SHIPPED_PREFIX
from .. import ConstantThenLinear, SynthesisTrainer
from .checkpoint_saver import AsyncSaver
from .epoch_line import epoch_line, is_validated
from .lock import LOCK_NAME, RunLock
from .picture import write_picture
from .resumed_settings import require_same
from .signals import TerminationSignals
from .weights_writer import BEST, LAST, WeightsWriter

logger = logging.getLogger(__name__)
BROKEN = (RuntimeError, KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What the parts of a trainer raise on entries of a checkpoint that are none of theirs."""
LOG_NAME = "log.csv"
EPOCHS_NAME = "epochs"
"""Folder of the weights and pictures of single epochs."""


class RunFolder:
    """Handler that writes a training run to disk; attach it after the validation.

    Writes under ``run_dir``: ``models/model.pt`` (the deployed network, see ``keep``) with ``model.json`` (what it was
    trained with), ``models/last_checkpoint.pt`` (after each epoch, and within one on SIGTERM or SIGINT), ``log.csv``
    (a row for each epoch), ``run.json`` (configuration and versions) and ``datalist.json`` (cases and split). A new run
    moves an earlier one to ``models/previous``. Nothing is written before the folder is locked.

    Args:
        run_dir: see :func:`common.runs.run_dir`.
        validator: its key metric decides what is best (``metric_cmp_fn``).
        resume: continue the run in ``run_dir`` instead of starting a new one.
        data: cases of the run; of :class:`common.data.split_record.Cases` the split is written.
        keep: which weights become ``model.pt``: ``best``, of the best validation (the last epoch's without validation
            cases), or ``last``, of the last epoch, as papers do that validate nothing.
        patience: so many validations without a better one end the training, of a method in parts the last part; a
            resumed run counts those before. None: never.
        save_interval: after every so many epochs the weights, usable as ``--weights``, and a picture of the first
            validation case are kept in ``epochs/<epoch>``. None: never.
        record: of the command, whose settings the run and its weights record.

    Raises:
        ConfigError: for another ``keep``.
    """

    def __init__(
        self,
        run_dir: str,
        validator: SupervisedEvaluator,
        resume: bool = False,
        data: Mapping[str, Any] | None = None,
        keep: str = BEST,
        record: RunRecord | None = None,
        patience: int | None = None,
        save_interval: int | None = None,
    ) -> None:
        if keep not in (BEST, LAST):
            raise ConfigError(f"--keep is {keep!r}", choose((BEST, LAST)))
        self.root = Path(run_dir)
        self.models = self.root / "models"
        self.validator = validator
        self.resume = resume
        self.data = data
        self.keep = keep
        self.patience = patience
        self.save_interval = save_interval
        self.lock = RunLock(self.root, self.models)
        self.signals = TerminationSignals()
        self.saver = AsyncSaver()
        self.record = record
        self.weights = WeightsWriter(self.models, record)
        self._rows: list[dict[str, Any]] = []
        self._began, self._first = 0.0, 0
        self._counted_after = 0

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine`` from its start to its end."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.exit_on_signal)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.complete_epoch)
        engine.add_event_handler(Events.COMPLETED, self.complete)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self.fail)

    # ---- start --------------------------------------------------------------------------------------------------

    def start(self, engine: SynthesisTrainer) -> None:
        """Lock the folder, move or resume the run that it holds, and record termination signals."""
        last = self.models / checkpoints.RESUME_NAME
        if self.resume and not last.is_file():
            raise CheckpointError(f"no {last} to resume from", "start a new run with --resume false")
        devices.barrier()  # all have read the weights that they start from, which may be moved now
        if devices.rank() == 0:
            self.lock.acquire()
            remove_unfinished(self.models)
            if not self.resume:
                self._move_previous()
                write_split(self.data, self.root)
        devices.barrier()
        if self.resume:
            require_same(self.root, config_of(self.record))
            self._restore(engine, last)
        done, asked = engine.state.epoch, engine.state.max_epochs
        if done >= asked:  # of a resumed run: its record stays that of the training
            over = any(
                isinstance(each, ConstantThenLinear) and each.idle_epochs(done + 1) for each in engine.schedulers
            )
            remedy = "its rate is at 0, so train longer in a new run" if over else "raise it to go on"
            logger.warning(f"nothing to train, {done} epochs are done and --max_epochs is {asked}: {remedy}")
        elif devices.rank() == 0:
            self._write_settings()
            self.weights.describe(self.root / DATALIST_NAME)
            best = self.keep == BEST and self._validates()
            of = f"the best validation ({self.validator.state.key_metric_name})" if best else "the last epoch"
            logger.info(f"weights: {self.models / checkpoints.WEIGHTS_NAME} will be those of {of}")
        self._began, self._first = monotonic(), engine.state.iteration
        self.validator.add_event_handler(Events.COMPLETED, self.keep_best, engine)
        self.signals.catch()

    def _move_previous(self) -> None:
        """Move an earlier run to ``models/previous``; the one before it is then in ``models/previous/previous``.

        Weights that the bundle ships are no run and stay; a release has them as ``model.pt``, which is renamed.
        """
        info.keep_shipped(self.models)
        shipped = {path.stem for path in self.models.glob(f"{SHIPPED_PREFIX}*.pt")}
        held = [path for path in self.models.iterdir() if path.name != LOCK_NAME and path.stem not in shipped]
        held += [
            path for path in (self.root / name for name in (LOG_NAME, RUN_NAME, "events", EPOCHS_NAME)) if path.exists()
        ]
        incoming = self.models / ".previous"  # exists where an earlier move was cut short
        if not incoming.exists() and not any(path.name.endswith(".pt") for path in held):
            return
        incoming.mkdir(exist_ok=True)
        for path in held:
            if path != incoming:
                shutil.move(str(path), incoming / path.name)
        move_split(self.root, incoming)
        aside = incoming.rename(self.models / "previous")
        logger.warning(f"{self.root} held a run: moved to {aside} (--resume true continues a run)")

    def _write_settings(self) -> None:
        about = {"config": config_of(self.record), "versions": software_versions()}
        write_text(self.root / RUN_NAME, portable(json.dumps(about, indent=2, default=str)))

    def _restore(self, engine: SynthesisTrainer, last: Path) -> None:
        restore = "restore a sound copy, or start a new run with --resume false"
        saved = checkpoints.load(last, restore)
        if missing := sorted({"trainer", "best_metric", "best_metric_epoch", "log"} - saved.keys()):
            fault = f"{last} is not a checkpoint of a run, it lacks {', '.join(missing)}"
            raise CheckpointError(fault, "start a new run with --resume false")
        try:
            engine.load_saved_state(saved["trainer"])
            self.validator.state.best_metric = float(saved["best_metric"])
            self.validator.state.best_metric_epoch = int(saved["best_metric_epoch"])
            self._rows = [dict(json.loads(row)) for row in saved["log"]]
        except UserError:
            raise
        except BROKEN as error:
            fault = f"{last} holds a damaged state of the run ({repr(error)[:200]})"
            raise CheckpointError(fault, restore) from error
        logger.info(f"resumed {last} after epoch {engine.state.epoch}, step {engine.state.iteration}")
        if self.keep == BEST and self.validator.state.best_metric_epoch > 0:
            self._forget_lost_best(engine)

    def _forget_lost_best(self, engine: SynthesisTrainer) -> None:
        """Let the next validation be the best where the weights of the best so far are missing or damaged.

        Otherwise a run without a better one would end without usable weights.
        """
        try:
            checkpoints.require_same_hash(self.models / checkpoints.WEIGHTS_NAME)
        except CheckpointError as error:
            state = self.validator.state
            best = f"epoch {state.best_metric_epoch}, the best so far, has lost its weights"
            state.best_metric, state.best_metric_epoch = -1.0, -1
            self._counted_after = engine.state.epoch
            logger.warning(f"{best} ({error}): those of the next validation will be kept")

    # ---- while training -----------------------------------------------------------------------------------------

    def complete_epoch(self, engine: SynthesisTrainer) -> None:
        """Log the epoch to ``log.csv`` and the console, save the checkpoint, then exit if a signal was received."""
        row = {"epoch": engine.state.epoch, **engine.state.metrics}
        if is_validated(engine, self.validator):
            row |= {f"val_{name}": value for name, value in self.validator.state.metrics.items()}
        self._rows.append({name: float(value) if name != "epoch" else value for name, value in row.items()})
        if devices.rank() == 0:
            if self.keep == LAST or not self._validates():
                self.weights.save(engine, None)
            self._write_log()
            self._save(engine)
            steps = engine.state.max_epochs * engine.state.epoch_length - engine.state.iteration
            pace = (monotonic() - self._began) / (engine.state.iteration - self._first)
            logger.info(epoch_line(engine, self.validator, steps * pace))
            if self.save_interval and engine.state.epoch % self.save_interval == 0:
                self._keep_epoch(engine)
        if self._is_stalled(engine):
            best = self.validator.state.best_metric_epoch
            logger.info(f"no validation was better than that of epoch {best}: the training ends (--patience)")
            engine.terminate()
        self._exit_if_signalled(engine)

    def _keep_epoch(self, engine: SynthesisTrainer) -> None:
        folder = self.root / EPOCHS_NAME / f"{engine.state.epoch:04d}"
        self.weights.save(engine, None, folder)
        if self._validates():
            write_picture(folder / "picture.png", engine, self.validator)

    def _is_stalled(self, engine: SynthesisTrainer) -> bool:
        """Whether the validations after the best one are as many as the patience; only those of the last part count.

        Another part of a training has other losses, or another stage.
        """
        is_last = engine.method.is_in_last_part and engine.state.epoch < engine.state.max_epochs
        if self.patience is None or not is_last:
            return False
        metrics, best = engine.state.metrics, max(self.validator.state.best_metric_epoch, self._counted_after)
        part = [row for row in self._rows if row["epoch"] > best and row.get("stage") == metrics.get("stage")]
        others = [row.keys() - {"epoch", *metrics} for row in part if metrics.keys() <= row.keys()]
        validated = [names for names in others if names and all(name.startswith("val_") for name in names)]
        return len(validated) >= self.patience

    def keep_best(self, validator: SupervisedEvaluator, engine: SynthesisTrainer) -> None:
        """Write ``model.pt`` after a validation that was the best so far, unless the last one is kept."""
        state = validator.state
        if not math.isfinite(state.best_metric):  # the first score is taken as it is, and nothing beats NaN
            state.best_metric_epoch = -1
        if devices.rank() == 0 and self.keep == BEST and state.best_metric_epoch == engine.state.epoch:
            self.weights.save(engine, validator)

    def _validates(self) -> bool:
        """Whether there are validation cases; without them (unpaired data) the last epoch counts as the best."""
        return bool(len(cast(Sized, self.validator.data_loader)))

    def exit_on_signal(self, engine: SynthesisTrainer) -> None:
        """Save and exit within an epoch after a signal; one in its last step is handled when the epoch is complete."""
        done = engine.state.iteration % engine.state.epoch_length
        if self.signals.received is not None and done and done % engine.accumulation_steps == 0:
            engine.finite.require()
            if devices.rank() == 0:
                self._save(engine)
            self._exit_if_signalled(engine)

    def _exit_if_signalled(self, engine: SynthesisTrainer) -> None:
        if (number := self.signals.received) is not None:
            self.saver.settle()
            engine.fire_event(Events.TERMINATE)
            name = signal.Signals(number).name
            logger.warning(f"{name}: saved at step {engine.state.iteration}; --resume true continues from there")
            self.release()
            raise SystemExit(128 + number)

    def _save(self, engine: SynthesisTrainer) -> None:
        state = self.validator.state
        content = {
            "trainer": engine.state_to_save(),
            "deployed": engine.deployed_name(),
            "model": info.as_text(self.weights.about(engine, None)),
            "best_metric": float(state.best_metric),
            "best_metric_epoch": state.best_metric_epoch,
            "log": [json.dumps(row) for row in self._rows],
        }
        self.saver.save(content, self.models / checkpoints.RESUME_NAME)

    def _write_log(self) -> None:
        names = list(dict.fromkeys(name for row in self._rows for name in row))

        def write(path: str) -> None:
            with open(path, "w", newline="") as file:
                writer = csv.DictWriter(file, [as_cell(name) for name in names])
                writer.writeheader()
                writer.writerows({as_cell(name): value for name, value in row.items()} for row in self._rows)

        write_whole(self.root / LOG_NAME, write)

    # ---- end ----------------------------------------------------------------------------------------------------

    def complete(self, engine: SynthesisTrainer) -> None:
        """Wait for the last checkpoint, then restore the signal handlers and release the lock."""
        try:
            self.saver.settle()
        finally:
            self.release()

    def release(self) -> None:
        """Restore the signal handlers and release the lock."""
        self.signals.restore()
        self.lock.release()

    def fail(self, engine: SynthesisTrainer, error: BaseException) -> None:
        """Release the folder and raise the error again."""
        try:
            self.saver.settle()
        except OutputError as other:
            logger.error(str(other))
        self.release()
        raise error

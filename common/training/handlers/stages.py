"""Stage transitions in the training of a cascade."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Evaluator
from monai.inferers import Inferer
from torch import Tensor

from ... import devices
from ...data.datasets.patches import VolumePatchDataset
from ...errors import ConfigError
from ...networks.cascade import Cascade
from ...stitching import CascadeInferer
from ...weights import checkpoints
from ..methods.staged import StagedMethod
from ..trainer import SynthesisTrainer

logger = logging.getLogger(__name__)


class Stages:
    """Handler that moves a :class:`StagedMethod` from stage to stage; attach it before the run's folder.

    Each stage is trained for ``epochs``. The next one starts from the best weights of the stage before, its best
    validation is searched for again, and its context is inferred on the whole training volumes (4 bytes for each voxel
    of every case). A resumed run infers it again, from the same weights.

    Args:
        dataset: of the training patches; receives the inferred volumes. None where the method makes its contexts.
        inferer: stitches a whole volume through the stages in use; of a
            :class:`common.stitching.cascade.CascadeInferer`, its stitching of contexts is used for all of them.
        validator: its best metric is reset at each transition.
        run_dir: holds ``models/model.pt``.
        epochs: of every stage.
    """

    def __init__(
        self,
        dataset: VolumePatchDataset | None,
        inferer: Inferer,
        validator: Evaluator,
        run_dir: str,
        epochs: int,
    ) -> None:
        self.dataset = dataset
        self.inferer = inferer.making_contexts() if isinstance(inferer, CascadeInferer) else inferer
        self.validator = validator
        self.weights = Path(run_dir, "models", checkpoints.WEIGHTS_NAME)
        self.epochs = epochs
        self._stitched = 0

    def attach(self, engine: SynthesisTrainer) -> None:
        """Follow ``engine``.

        Raises:
            ConfigError: where its epochs are not those of all stages.
        """
        stages = len(self._method(engine).methods)
        if engine.state.max_epochs != stages * self.epochs:
            wanted = f"{self.epochs} for each of {stages} stages, {stages * self.epochs}"
            fault = f"--train::trainer::max_epochs is {engine.state.max_epochs}, not {wanted}"
            raise ConfigError(fault, "give a multiple of the stages")
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_epoch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.complete_epoch)

    def start_epoch(self, engine: SynthesisTrainer) -> None:
        """Enter the stage that this epoch belongs to.

        Raises:
            ConfigError: where a resumed run has another number of epochs per stage, and is not in its last one.
        """
        method = self._method(engine)
        stage = (engine.state.epoch - 1) // self.epochs
        if engine.state.iteration == 0:
            method.enter(0)
        known, in_use = int(method.stage_epochs), int(method.cascade.in_use)
        longer = in_use == stage + 1 == len(method.methods)  # only the last stage may be continued for more epochs
        if known not in (0, self.epochs) and not longer:
            fault = f"--max_epochs gives each stage {self.epochs} epochs, but {known} in the run to resume"
            raise ConfigError(fault, "set it as it was, or start a new run with --resume false")
        method.stage_epochs.fill_(self.epochs)
        if in_use <= stage:
            # a checkpoint saved after this transition has the stage in use already
            devices.barrier()
            engine.load_deployed(self._best_of(method.cascade, stage))
            self.validator.state.best_metric_epoch = -1
            logger.info(f"stage {stage + 1} of {len(method.methods)} starts from the best weights of stage {stage}")
        if self.dataset is not None and stage and self._stitched != stage:
            method.enter(stage - 1)
            self._stitch(engine, self.dataset)
            self._stitched = stage
        method.enter(stage)

    def _best_of(self, cascade: Cascade, stage: int) -> dict[str, Tensor]:
        """The cascade's weights with the best ones of the earlier stages; a killed run may have saved more."""
        later = tuple(f"stages.{number}." for number in range(stage, len(cascade.stages)))
        best = checkpoints.load(self.weights)
        kept = {name: value for name, value in best.items() if not name.startswith((*later, "in_use"))}
        return {**cascade.state_dict(), **kept}

    def complete_epoch(self, engine: SynthesisTrainer) -> None:
        """Log the stage with the losses."""
        engine.state.metrics["stage"] = self._method(engine).stage + 1

    def _stitch(self, engine: SynthesisTrainer, dataset: VolumePatchDataset) -> None:
        """Give the dataset the output of the stages in use on every whole volume."""
        device: Any = engine.state.device
        network = self._method(engine).cascade.eval()
        with torch.no_grad():
            dataset.set_context(lambda image: self.inferer(image[None].to(device), network)[0].cpu())

    @staticmethod
    def _method(engine: SynthesisTrainer) -> StagedMethod:
        assert isinstance(engine.method, StagedMethod)
        return engine.method

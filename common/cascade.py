"""Cascades: generators in a row, each of which sees the source and the whole image that the one before it made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Evaluator
from monai.inferers import Inferer
from torch import Tensor, nn
from tqdm import tqdm

from common import checkpoints, devices
from common.data.patches import PatchDataset
from common.engines import GanTrainer
from common.errors import ConfigError
from common.methods import Batch, GanMethod, Losses

logger = logging.getLogger(__name__)


class Cascade(nn.Module):
    """Stages in a row, as one network: y_1 = G_1(x), y_k = G_k(x beside y_{k-1}) (auto-context, Tu and Bai 2010).

    Input (B, C, X, Y, Z), output (B, C', X, Y, Z) of the last stage in use. How many stages are in use is kept with the
    weights, so that a cascade whose training is not finished never answers from an untrained stage. On a patch every
    stage sees a patch; :class:`common.inferers.CascadeInferer` gives it the whole stitched image instead.

    Args:
        stages: the first takes C channels, the others C + C'.
        in_channels: C.
    """

    def __init__(self, stages: Sequence[nn.Module], in_channels: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stages = nn.ModuleList(stages)
        self.register_buffer("in_use", torch.tensor(len(stages)))
        checkpoints.refuse_other_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """The last stage's output, every stage seeing no more than ``x``."""
        y = x
        for number, stage in enumerate(self.stages):
            if number == 0:
                y = stage(x)
            else:
                later = stage(torch.cat([x, y], dim=1))
                # an export to ONNX could not follow a branch on the value of a tensor
                used = self.in_use > number  # type: ignore[operator]
                y = torch.where(used, later, y)  # type: ignore[arg-type]
        return y


class StagedMethod(GanMethod):
    """Trains the stages of a cascade one after the other, each by its own method, the earlier ones frozen.

    A batch holds ``context``, the output of the stage before on the same place, from the second stage on.

    Args:
        cascade: the deployed network.
        methods: one a stage; each has that stage as its generator.
    """

    def __init__(self, cascade: Cascade, methods: Sequence[GanMethod]) -> None:
        discriminators = {f"stage_{number}": method.discriminators for number, method in enumerate(methods, 1)}
        super().__init__({"cascade": cascade}, discriminators, {})
        self.methods = tuple(methods)  # their networks are registered above
        self.register_buffer("stage_epochs", torch.tensor(0))  # a resumed run must have the same
        self.enter(0)

    @property
    def cascade(self) -> Cascade:
        """The deployed network."""
        assert isinstance(self.deployed, Cascade)
        return self.deployed

    @property
    def variation(self) -> int:
        """The stage."""
        return self.stage

    def trained(self) -> list[nn.Module]:
        """The stages and their discriminators, which steps call one by one."""
        return [network for method in self.methods for network in method.trained()]

    def enter(self, stage: int) -> None:
        """Train this stage from now on (0 is the first); it and those before it are in use."""
        self.stage = stage
        self.cascade.in_use.fill_(stage + 1)  # type: ignore[operator]
        self.loss_weights = self.methods[stage].loss_weights
        self.train(self.training)

    def train(self, mode: bool = True) -> StagedMethod:
        """Frozen stages stay in evaluation mode: their batch statistics are as fixed as their weights."""
        super().train(mode)
        for frozen in self.cascade.stages[: self.stage]:
            frozen.eval()
        return self

    def generate(self, batch: Batch) -> Losses:
        """What the stage in training makes of the source and its context; discriminators see the source alone."""
        if self.stage > 0:
            batch = {**batch, "image": torch.cat([batch["image"], batch["context"]], dim=1)}
        return self.methods[self.stage].generate(batch)

    def discriminator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Those of the stage's method."""
        return self.methods[self.stage].discriminator_losses(batch, fakes)

    def generator_losses(self, batch: Batch, fakes: Batch) -> Losses:
        """Those of the stage's method."""
        return self.methods[self.stage].generator_losses(batch, fakes)


class Stages:
    """Handler that leads a :class:`StagedMethod` from stage to stage; attach it before the run's folder.

    Each stage is trained for ``epochs``. Where the next begins, the best weights of the one before are taken, the
    search for the best validation begins anew, and the whole training volumes are stitched for it (kept in memory:
    4 bytes a voxel of every case). A resumed run stitches them again, from the same weights.

    Args:
        dataset: of the training patches; receives the stitched volumes.
        inferer: stitches a whole volume through the stages in use.
        validator: whose best metric is forgotten at each change.
        run_dir: holds ``models/model.pt``.
        epochs: of every stage.
    """

    def __init__(
        self, dataset: PatchDataset, inferer: Inferer, validator: Evaluator, run_dir: str, epochs: int
    ) -> None:
        self.dataset = dataset
        self.inferer = inferer
        self.validator = validator
        self.weights = Path(run_dir, "models", checkpoints.WEIGHTS_NAME)
        self.epochs = epochs
        self._stitched = 0

    def attach(self, engine: GanTrainer) -> None:
        """Follow ``engine``.

        Raises:
            ConfigError: where its epochs are not those of all stages.
        """
        stages = len(self._method(engine).methods)
        if engine.state.max_epochs != stages * self.epochs:
            rule = f"is {self.epochs} epochs for each of {stages} stages, {stages * self.epochs}"
            remedy = "give a multiple of the stages"
            raise ConfigError("train::trainer::max_epochs", rule, engine.state.max_epochs, remedy)
        engine.add_event_handler(Events.EPOCH_STARTED, self.start_epoch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.complete_epoch)

    def start_epoch(self, engine: GanTrainer) -> None:
        """Enter the stage that this epoch belongs to.

        Raises:
            ConfigError: where a resumed run has other epochs a stage, and is not in its last.
        """
        method = self._method(engine)
        stage = (engine.state.epoch - 1) // self.epochs
        if engine.state.iteration == 0:
            method.enter(0)
        known = int(method.stage_epochs)  # type: ignore[arg-type]
        in_use = int(method.cascade.in_use)  # type: ignore[arg-type]
        longer = in_use == stage + 1 == len(method.methods)  # the last stage alone may go on for more epochs
        if known not in (0, self.epochs) and not longer:
            rule = f"is {known} for each stage, as in the run to resume"
            raise ConfigError("max_epochs", rule, self.epochs, "set it as it was, or start anew with --resume false")
        method.stage_epochs.fill_(self.epochs)  # type: ignore[operator]
        if in_use <= stage:
            # not so where a resumed checkpoint has taken the step already
            devices.barrier()
            engine.load_deployed(self._best_of(method.cascade, stage))
            self.validator.state.best_metric_epoch = -1
            logger.info(f"stage {stage + 1} of {len(method.methods)} begins, on the best weights of stage {stage}")
        if stage and self._stitched != stage:
            method.enter(stage - 1)
            self._stitch(engine)
            self._stitched = stage
        method.enter(stage)

    def _best_of(self, cascade: Cascade, stage: int) -> dict[str, Tensor]:
        """The cascade's weights with the best ones of the stages before; a run that died may have saved later ones."""
        later = tuple(f"stages.{number}." for number in range(stage, len(cascade.stages)))
        best = checkpoints.load(self.weights)
        kept = {name: value for name, value in best.items() if not name.startswith((*later, "in_use"))}
        return {**cascade.state_dict(), **kept}

    def complete_epoch(self, engine: GanTrainer) -> None:
        """Log the stage beside the losses."""
        engine.state.metrics["stage"] = self._method(engine).stage + 1

    def _stitch(self, engine: GanTrainer) -> None:
        """Give the dataset what the stages in use make of every whole volume."""
        device: Any = engine.state.device
        network = self._method(engine).cascade.eval()
        cases = tqdm(range(len(self.dataset.shapes)), desc="stitching the stage before", unit="case", leave=False)
        with torch.no_grad():
            images = (self.dataset.volume(number)[None].to(device) for number in cases)
            self.dataset.set_context([self.inferer(image, network)[0].cpu() for image in images])

    @staticmethod
    def _method(engine: GanTrainer) -> StagedMethod:
        assert isinstance(engine.method, StagedMethod)
        return engine.method

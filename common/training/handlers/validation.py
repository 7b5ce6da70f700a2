"""Validation during training, on the weights of deployment."""

from __future__ import annotations

from typing import cast

import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.handlers import ValidationHandler

from ..trainer import SynthesisTrainer


class Validation(ValidationHandler):
    """MONAI's validation handler on the weights that would be deployed (the moving average where that is on).

    Validates after every ``interval`` epochs and after the last one, so that each run ends with a ``model.pt``.

    Args:
        interval: in epochs.
        validator: the evaluator.
        stage_epochs: epochs of each stage of a method that trains in stages; validates after the last of them, too.
    """

    def __init__(self, interval: int, validator: Evaluator, stage_epochs: int | None = None) -> None:
        super().__init__(interval, validator)
        self.stage_epochs = stage_epochs

    def attach(self, engine: Engine) -> None:
        """Follow ``engine``."""

        def due(engine: Engine, epoch: int) -> bool:
            last = epoch == engine.state.max_epochs or self.stage_epochs and epoch % self.stage_epochs == 0
            return epoch % self.interval == 0 or bool(last)

        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=due), self)

    def __call__(self, engine: Engine) -> None:
        """Validate now, without compilation, since whole volumes have many shapes; nothing without cases."""
        if not self.validator or not self.validator.state.epoch_length:
            return  # logged at the start; MONAI would warn each time
        with cast(SynthesisTrainer, engine).deployed_weights(), torch.compiler.set_stance("force_eager"):
            super().__call__(engine)

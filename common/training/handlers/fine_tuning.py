"""Fine-tuning: training that starts from shipped weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ignite.engine import Events

from ...config.record import RunRecord
from ...errors import ConfigError
from ...weights import checkpoints
from .. import SynthesisTrainer

logger = logging.getLogger(__name__)


class FineTuning:
    """Handler that loads weights into the network of a new run; a resumed run keeps its own.

    Args:
        record: of the command, with the weights that it starts from; without such, they are random.
        frozen: prefixes of the names of weights that are not trained, such as ``stages.0.layers.0``. Batch statistics
            still adapt to the new images.
    """

    def __init__(self, record: RunRecord | None = None, frozen: Sequence[str] = ()) -> None:
        self.start = None if record is None else record.weights
        self.frozen = tuple(frozen)

    def attach(self, engine: SynthesisTrainer) -> None:
        """Load at the start of ``engine``."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: SynthesisTrainer) -> None:
        """Load and freeze now.

        Raises:
            CheckpointError: the weights belong to another network.
            ConfigError: no weight begins with a name in ``frozen``, or nothing is left to train.
        """
        network = engine.method.deployed
        if self.start is not None and engine.state.iteration == 0:
            checkpoints.load_weights(network, self.start.path)
            engine.load_deployed(network.state_dict())  # its moving average too
            logger.info(f"training starts from {self.start.path}")
        self._freeze(engine)

    def _freeze(self, engine: SynthesisTrainer) -> None:
        weights = dict(engine.method.deployed.named_parameters())
        for start in self.frozen:
            if not any(name.startswith(start) for name in weights):
                remedy = f"give the beginning of names such as {next(iter(weights))}, or [] to train all"
                raise ConfigError(f"--frozen {start} begins no name of a weight", remedy)
        for name, weight in weights.items():
            if self.frozen and name.startswith(self.frozen):
                weight.requires_grad_(False)
        if not any(weight.requires_grad for weight in weights.values()):
            raise ConfigError("--frozen covers every parameter: nothing is left to train")

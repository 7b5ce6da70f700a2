"""Fine-tuning: training that starts from pretrained weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Events

from common import checkpoints
from common.engines import SynthesisTrainer
from common.errors import ConfigError
from common.running_config import change
from common.weights_info import PRETRAINED_NAME, read_info

logger = logging.getLogger(__name__)


class FineTuning:
    """Handler that loads the pretrained weights into the network of a new run; a resumed run keeps its own.

    Create it before the network, so that it can set the settings that the weights need, such as the network's size.
    Created later, a network of another size is an error.

    Args:
        bundle_root: the bundle's folder, whose ``models`` hold the weights.
        pretrained: whether to load the pretrained weights.
        frozen: prefixes of the names of weights that are not trained, such as ``stages.0.layers.0``. Batch statistics
            still adapt to the new images.
        name: file name, if a bundle ships several.

    Raises:
        CheckpointError: there are no pretrained weights, or they are not those that were shipped.
    """

    def __init__(
        self, bundle_root: str, pretrained: bool = False, frozen: Sequence[str] = (), name: str = PRETRAINED_NAME
    ) -> None:
        self.path = Path(bundle_root, "models", name)
        self.pretrained = pretrained
        self.frozen = tuple(frozen)
        if pretrained:
            change(read_info(self.path).settings)

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
        if self.pretrained and engine.state.iteration == 0:
            checkpoints.load_weights(network, self.path)
            engine.load_deployed(network.state_dict())  # its moving average too
            logger.info(f"training starts from {self.path}")
        self._freeze(engine)

    def _freeze(self, engine: SynthesisTrainer) -> None:
        weights = dict(engine.method.deployed.named_parameters())
        for start in self.frozen:
            if not any(name.startswith(start) for name in weights):
                remedy = "correct it, or give [] to train all"
                raise ConfigError("frozen", f"begins names of weights such as {next(iter(weights))}", start, remedy)
        for name, weight in weights.items():
            if self.frozen and name.startswith(self.frozen):
                weight.requires_grad_(False)
        if not any(weight.requires_grad for weight in weights.values()):
            raise ConfigError("frozen", "leaves something to train", list(self.frozen), "freeze less")

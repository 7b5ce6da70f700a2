"""Training that begins with pretrained weights rather than random ones: fine-tuning."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ignite.engine import Events

from common import checkpoints
from common.engines import AdversarialTrainer
from common.errors import ConfigError
from common.pretrained.info import PRETRAINED_NAME, read_info
from common.settings import change

logger = logging.getLogger(__name__)


class Start:
    """Handler that gives a new run's network the pretrained weights; a resumed run keeps its own.

    Made before the network, it sets the settings that the weights need, such as the network's size; made later, a
    network of another size is an error.

    Args:
        bundle_root: the bundle's folder, whose ``models`` hold the weights.
        pretrained: whether to do anything at all.
        frozen: beginnings of the names of weights that stay as they are, such as ``stages.0.layers.0``. Batch
            statistics go on adapting to the new images.
        name: of the file, where a bundle ships several.

    Raises:
        CheckpointError: where there are no pretrained weights, or not those that were shipped.
    """

    def __init__(
        self, bundle_root: str, pretrained: bool = False, frozen: Sequence[str] = (), name: str = PRETRAINED_NAME
    ) -> None:
        self.path = Path(bundle_root, "models", name)
        self.pretrained = pretrained
        self.frozen = tuple(frozen)
        if pretrained:
            change(read_info(self.path).settings)

    def attach(self, engine: AdversarialTrainer) -> None:
        """Load at the start of ``engine``."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: AdversarialTrainer) -> None:
        """Load and freeze now.

        Raises:
            CheckpointError: for weights of another network.
            ConfigError: for a name in ``frozen`` that no weight begins with, or where nothing is left to train.
        """
        network = engine.method.deployed
        if self.pretrained and engine.state.iteration == 0:
            checkpoints.load_weights(network, self.path)
            engine.load_deployed(network.state_dict())  # its moving average too
            logger.info(f"training starts from {self.path}")
        self._freeze(engine)

    def _freeze(self, engine: AdversarialTrainer) -> None:
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

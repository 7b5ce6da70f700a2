"""Loading of trained weights when an evaluator starts."""

from __future__ import annotations

from ignite.engine import Engine, Events
from torch import nn

from ..weights.checkpoints import load_weights


class WeightsLoader:
    """Handler that loads weights before the first case of the first run; see :func:`load_weights`.

    Args:
        network: receives the weights.
        path: of ``model.pt``.
    """

    def __init__(self, network: nn.Module, path: str) -> None:
        self.network = network
        self.path = path
        self._is_loaded = False

    def attach(self, engine: Engine) -> None:
        """Load at the start of ``engine``."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load now, unless that is done."""
        if not self._is_loaded:
            load_weights(self.network, self.path)
            self._is_loaded = True

"""The masked measures as metrics of an Ignite or MONAI evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce

from ..errors import ConfigError
from ..grids import channels_last

Cases = Sequence[torch.Tensor]


class MaskedMetric(Metric):
    """Mean over the cases, on all ranks, of a measure inside a mask.

    A case is ``pred`` and ``label`` of the engine's output and ``mask`` of its batch, (1, X, Y, Z) each, as MONAI's
    ``SupervisedEvaluator`` decollates them.

    Undefined cases (nan, such as the bone error of a case without bone) are excluded from the mean. ``rows`` holds the
    value of every case this rank has seen since the last reset, nan included.

    In a bundle configuration::

        key_val_metric: {mae: {_target_: common.metrics.MaskedMetric, function: "@a callable such as metrics.mae"}}

    Args:
        function: measure of one case ``(pred, truth, mask) -> float`` on arrays (X, Y, Z), such as
            :func:`common.metrics.mae`.
        device: where sums are exchanged between ranks.

    Raises:
        ConfigError: ``function`` cannot be called.
    """

    _state_dict_all_req_keys = ("_sum", "_count")

    def __init__(
        self,
        function: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
        device: str | torch.device = "cpu",
    ) -> None:
        if not callable(function):
            raise ConfigError(f"function is {function!r}, not callable", "add `_mode_: callable` to its _target_")
        self.function = function
        super().__init__(device=device)

    def iteration_completed(self, engine: Engine) -> None:
        """Score the cases of the iteration that ``engine`` has completed."""
        outputs: Any = engine.state.output
        batch: Any = engine.state.batch
        pairs = zip(outputs, batch, strict=True)
        cases = [(output["pred"], output["label"], item["mask"]) for output, item in pairs]
        self.update(tuple(zip(*cases, strict=True)))

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all cases."""
        self.rows: list[float] = []
        self._sum = 0.0
        self._count = 0

    @reinit__is_reduced
    def update(self, output: tuple[Cases, Cases, Cases]) -> None:
        """Score the cases of one iteration.

        Raises:
            DataError: the measure refuses it.
        """
        for case in zip(*output, strict=True):
            value = float(self.function(*map(_as_array, case)))
            self.rows.append(value)
            if not math.isnan(value):
                self._sum += value
                self._count += 1

    @sync_all_reduce("_sum", "_count")
    def compute(self) -> float:
        """Return the mean over the cases of all ranks.

        Raises:
            NotComputableError: no case has a defined value.
        """
        if self._count == 0:
            raise NotComputableError("MaskedMetric must have at least one case with a defined value to be computed.")
        return self._sum / self._count


def _as_array(volume: torch.Tensor) -> np.ndarray:
    """The array (X, Y, Z), or (X, Y, Z, C), of a tensor (C, X, Y, Z), whatever its device and precision."""
    return channels_last(volume.detach().cpu().double().numpy())

"""Validation during training: the error of what inference writes, against the true target in its own unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine

from ..data.datalist import Item
from ..data.datasets.cached_volumes import MappedCacheDataset
from ..data.datasets.mapped import mapped
from ..grids import require_grid
from ..io import VolumeReader
from ..metrics import MaskedMetric, mae
from .held_out_case import load_case


class SourceDataset(MappedCacheDataset):
    """Sources of cases, prepared as in inference: without target and mask.

    Args:
        data: items of paths; those of a server have no ``case``.
        transform: of an item with ``case``, ``image`` and its ``number`` in ``items``.
    """

    def __init__(self, data: Sequence[Item], transform: Callable[[Any], Any]) -> None:
        self.items: list[Item] = [{"case": Path(_first(item["image"])).name, **item} for item in data]
        sources = [{"case": item["case"], "image": item["image"], "number": at} for at, item in enumerate(self.items)]
        super().__init__(sources, transform, progress=False)


def _first(paths: Any) -> str:
    return str(paths[0] if isinstance(paths, list) else paths)


class TrueTargetMetric(MaskedMetric):
    """Mean over the cases, on all ranks, of a measure of the output against the target as its file has it.

    The output is ``pred`` (C, X, Y, Z) after the postprocessing of an evaluation. Targets and masks are read at the
    first validation and memory-mapped from files.

    Args:
        dataset: of the validation, whose items have ``label``.
        function: see :class:`common.metrics.MaskedMetric`.
        head_threshold, reader, standardise, labelled: see :func:`common.evaluation.held_out_case.load_case`.
    """

    def __init__(
        self,
        dataset: SourceDataset,
        function: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
        head_threshold: float | None = None,
        reader: VolumeReader | None = None,
        standardise: bool = False,
        labelled: bool = False,
    ) -> None:
        super().__init__(function)
        self.dataset = dataset
        self.settings: Any = (head_threshold, reader, standardise, labelled)
        self._known: dict[int, tuple[torch.Tensor, torch.Tensor, np.ndarray]] = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Score the cases of the iteration that ``engine`` has completed.

        Raises:
            DataError: the output is not on the grid of the source, or see :mod:`common.evaluation.held_out_case`.
        """
        outputs: Any = engine.state.output
        batch: Any = engine.state.batch
        for output, item in zip(outputs, batch, strict=True):
            truth, mask, affine = self._target(int(item["number"]))
            pred = output["pred"]
            own = getattr(pred, "affine", item["image"].affine)
            remedy = "check that restore inverts preprocessing"
            require_grid(f"{item['case']}: prediction", pred.shape[1:], own, truth.shape[1:], affine, remedy)
            self.update(([pred], [truth], [mask]))

    def _target(self, number: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        """Target (C, X, Y, Z) and mask (1, X, Y, Z) of a case, and their affine (4, 4)."""
        if number not in self._known:
            case = load_case(self.dataset.items[number], *self.settings)
            truth, mask = (torch.from_numpy(np.asarray(each)) for each in (case.truth, case.mask))
            truth = truth[None] if truth.ndim == 3 else truth.movedim(-1, 0)
            self._known[number] = (*mapped([truth, mask[None]])[0], case.affine)
        return self._known[number]


def output_error(
    dataset: SourceDataset,
    unit: str,
    name: str = "mae",
    function: Callable[[np.ndarray, np.ndarray, np.ndarray], float] = mae,
    **settings: Any,
) -> dict[str, TrueTargetMetric]:
    """The key metric of a validation by its name with its unit, such as ``mae_HU``.

    Args:
        dataset: see :class:`TrueTargetMetric`.
        unit: of the measure; empty for a ratio.
        name: of the measure.
        function: the measure.
        **settings: see :class:`TrueTargetMetric`.
    """
    return {"_".join(filter(None, (name, unit))): TrueTargetMetric(dataset, function, **settings)}

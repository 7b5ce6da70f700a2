"""Errors, spread and features of held-out cases by a method, as an inference of their files has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.datalist import Item
from ..evaluation.held_out_case import Case, load_case, own_window
from ..evaluation.methods import EvaluatedMethod
from ..io import VolumeReader
from ..metrics.masked import mae
from ..transforms.body import OUTSIDE
from ..units import PERCENT
from .case_verdicts import NetworkInput, features_of
from .features import CaseFeatures
from .intervals import VoxelErrors, removed_around
from .maps import brightness

CONSTANT = "best constant"
COPIED = "copied source"
LESION = "lesion"
"""Name of the lesion mask of a case, whose coverage a check prints."""


class CaseErrors(NamedTuple):
    """A case: its errors by voxel and as a mean, its features, and the errors of answers without a network.

    Attributes:
        case: its name.
        voxels: inside the mask.
        mae: mean absolute error in the mask.
        features: see :class:`common.trust.features.CaseFeatures`; or why there are none.
        baselines: by :data:`CONSTANT` and :data:`COPIED`.
    """

    case: str
    voxels: VoxelErrors
    mae: float
    features: dict[str, float] | str
    baselines: dict[str, float]


@dataclass
class HeldOutErrors:
    """Infers a case and compares it with its target.

    Args:
        method: with its weights.
        device: to compute on.
        features: that are computed of each case.
        unit: of the errors; see :class:`common.trust.calibrate.Calibration`.
        head_threshold, reader, standardise: see :func:`common.evaluation.held_out_case.load_case`.
        copied: source and target have one unit, so that copying the source is an answer.
        window: range of the training targets, where one is recorded.
    """

    method: EvaluatedMethod
    device: torch.device
    features: CaseFeatures
    unit: str
    head_threshold: float | None = None
    reader: VolumeReader | None = None
    standardise: bool = False
    copied: bool = False
    window: tuple[float, float] | None = None

    def __call__(self, item: Item, with_spread: bool = False) -> CaseErrors:
        """Errors of a case with a target; without ``with_spread`` the spread is 0.

        Raises:
            DataError: the case cannot be inferred.
        """
        case = load_case(item, self.head_threshold, self.reader, self.standardise)
        assert case.truth is not None
        inferred = self.method.inferred(case, self.device)
        restored = self.method.finished(case, inferred)
        output = np.asarray(restored["pred"][0], dtype=np.float64)
        source = NetworkInput.of(inferred["image"])
        relative = self.unit == PERCENT
        unit = own_window(case)[1] / 100 if relative else 1.0  # of what is bright in the truth, as it is evaluated
        return CaseErrors(
            case.name,
            self._voxels(case, inferred, output, with_spread),
            mae(output, case.truth, case.mask) / unit,
            features_of(self.features, source, output, restored.get(OUTSIDE)),
            {name: value / unit for name, value in self._baselines(case).items()},
        )

    def _voxels(self, case: Case, inferred: dict[str, Any], output: np.ndarray, with_spread: bool) -> VoxelErrors:
        assert case.truth is not None
        spread = np.zeros(output.shape)
        if with_spread:
            source = self.method.restored(case, {**inferred, "pred": inferred["image"]})
            spread = removed_around(source, output)
        unit = brightness(output) / 100 if self.unit == PERCENT else 1.0  # the truth is unknown to a map
        parts = (output, spread, np.abs(output - case.truth))
        inside = VoxelErrors(*((part[case.mask] / unit).astype(np.float32) for part in parts))
        lesion, window = case.regions.get(LESION), self.window and (self.window[0] / unit, self.window[1] / unit)
        return inside._replace(lesion=None if lesion is None else lesion[case.mask], window=window)

    def _baselines(self, case: Case) -> dict[str, float]:
        assert case.truth is not None
        truth = case.truth[case.mask]
        baselines = {CONSTANT: float(np.abs(truth - np.median(truth)).mean())}
        return baselines | ({COPIED: mae(case.source, case.truth, case.mask)} if self.copied else {})

"""Calibration of a run's uncertainty on held-out cases, and its check on others."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ...config.record import RunRecord
from ...data.datalist import Item
from ...errors import ConfigError, DataError
from ...evaluation.cases import Case, load_case
from ...evaluation.methods import EvaluatedMethod
from ...io import VolumeReader
from ...metrics.masked import ARBITRARY, PERCENT
from ...weights import checkpoints
from ..held_out import SECTIONS, HeldOutCases
from .checked import Checked, table
from .conformal import LESION, Sample, cases_needed, fitted, require_level
from .maps import brightness, target_window
from .record import Record, read_record
from .variations import manner, spread_of, variations

logger = logging.getLogger(__name__)


@dataclass
class UncertaintyCalibration:
    """Calibrates the weights of a run on held-out cases, and checks the intervals on others.

    Args:
        cases: items by section, as :func:`common.data.cases.training_cases` gives them for an evaluation; it refuses
            test cases that the run was trained on.
        run_dir: of the run; its ``models`` receive ``model_uncertainty.json``.
        device: to compute on.
        unit: of the target; ``z`` with ``standardise``; or percent of brightness for one that has another scale in each
            scan, see :func:`common.trust.intervals.maps.brightness`.
        head_threshold: of masks, for cases without a file; see :func:`common.evaluation.cases.load_case`.
        reader: of the volumes, as in training.
        standardise: compare z-scores inside the head, as :func:`common.evaluation.cases.load_case` makes them;
            otherwise a network with the scale of its targets answers in their unit.
        level: share of the voxels of a case and group within the interval.
        case_level: share of the cases in which they are.
        section: which cases; null for ``validation`` in :meth:`run` and ``test`` in :meth:`check`.
        record: of the command.

    Raises:
        ConfigError: for a level outside (0, 1), a section that the run was trained on, or arbitrary units, in which the
            errors of one scan say nothing of another.
    """

    cases: Mapping[str, Sequence[Item]]
    run_dir: str
    device: torch.device
    unit: str
    head_threshold: float | None = None
    reader: VolumeReader | None = None
    standardise: bool = False
    level: float = 0.9
    case_level: float = 0.9
    section: str | None = None
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        self.held_out = HeldOutCases(self.cases, self.run_dir, self.device, self.reader, self.section, self.record)
        self.weights = self.held_out.weights
        if self.unit == ARBITRARY:
            rule, remedy = "is in a unit, which widths of several scans share", "give z with standardise, or " + PERCENT
            raise ConfigError("calibration", rule, self.unit, remedy)
        require_level("level", self.level)
        require_level("case_level", self.case_level)

    def run(self) -> Path:
        """Calibrate, write ``model_uncertainty.json`` next to the weights, print the intervals, return the file's path.

        Raises:
            DataError: too few cases with a target, or cases that the run was trained on.
            CheckpointError: there are no weights, or they do not fit.
        """
        items = self.held_out.items(SECTIONS[0])
        needed = cases_needed(self.case_level)
        if len(items) < needed:
            rule = f"has at least {needed} cases with a target for --case_level {self.case_level:g}"
            remedy = "give a --datalist with more in its section test and --section test, or a lower --case_level"
            raise DataError(f"calibration, section {self.section or SECTIONS[0]}", rule, len(items), remedy)
        files = self.held_out.hashes(items)
        self.held_out.require_untrained(items)
        method = self._method()
        samples = [sample for _, sample in self._samples(items, method, "calibration")]
        intervals = fitted(samples, self.unit, self.level, self.case_level)
        level_width = [each._replace(spread=np.zeros_like(each.spread)) for each in samples]
        record = Record(
            sha256=checkpoints.sha256(self.weights),
            unit=self.unit,
            level=self.level,
            case_level=self.case_level,
            manner=manner(method.inferer, method.network),
            intervals=intervals,
            constant=fitted(level_width, self.unit, self.level, self.case_level),
            cases=[str(item["case"]) for item in items],
            files=sorted(files),
        )
        path = record.write(self.weights)
        print(f"\ncalibrated on {len(items)} cases, {record.hold}; half width = factor x (spread + floor)")
        for name, each in intervals.items():
            print(f"{name:6} factor {each.factor:.3g}, floor {each.floor:.3g} {self.unit}, {each.cases} cases")
        print(f"written: {path}")
        return path

    def check(self) -> list[Checked]:
        """Print by case and group the coverage and sharpness of the intervals, next to those of constant width.

        Raises:
            DataError: no cases with a target, or cases that were calibrated on or trained on.
            CheckpointError: there is no calibration of these weights.
        """
        record = read_record(self.weights)
        items = self.held_out.to_check(record.files, record.unit, self.unit)
        rows = [
            row
            for name, sample in self._samples(items, self._method(), "check")
            for row in Checked.of(name, sample, record)
        ]
        print(f"\n{table(rows, record)}")
        return rows

    def _method(self) -> EvaluatedMethod:
        return self.held_out.method(ARBITRARY if self.unit == PERCENT else self.unit, self.standardise, "calibration")

    def _samples(self, items: Sequence[Item], method: EvaluatedMethod, told: str) -> Iterator[tuple[str, Sample]]:
        """Name and voxels inside the mask of every case, one case at a time."""
        varied, window = variations(method.inferer, method.network), target_window(self.weights)
        for item in tqdm(items, desc=told, unit="case", disable=None):
            case = load_case(item, self.head_threshold, self.reader, self.standardise)
            assert case.truth is not None
            data = method.inferred(case, self.device)
            prediction = method.restored(case, data)

            def restore(output: Any, case: Case = case, data: dict[str, Any] = data) -> np.ndarray:
                return method.restored(case, {**data, "pred": output.cpu()})

            spread = spread_of(data["image"].to(self.device), prediction, varied, restore)
            parts = (prediction, spread, np.abs(prediction - case.truth))
            unit = brightness(prediction) / 100 if self.unit == PERCENT else 1.0
            lesion = case.regions.get(LESION)
            inside = Sample(*((part[case.mask] / unit).astype(np.float32) for part in parts))
            lesion = None if lesion is None else lesion[case.mask]
            yield case.name, inside._replace(lesion=lesion, window=window and (window[0] / unit, window[1] / unit))

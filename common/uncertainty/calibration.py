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

from common import checkpoints
from common.data.datalist import POOLS, Item
from common.data.identity import identify, paths_of
from common.data.split_record import DATALIST_NAME, SplitRecord, counted
from common.errors import ConfigError, DataError
from common.evaluation.cases import load_case
from common.evaluation.methods import EvaluatedMethod, variant
from common.inferers import TargetScaleInferer
from common.io import VolumeReader
from common.uncertainty.checked import Checked, table
from common.uncertainty.conformal import LESION, Sample, cases_needed, fitted, require_level
from common.uncertainty.record import Record, read_record
from common.uncertainty.variations import manner, spread_of, variations

logger = logging.getLogger(__name__)
SECTIONS = ("validation", "test")


@dataclass
class UncertaintyCalibration:
    """Calibrates the weights of a run on held-out cases, and checks the intervals on others.

    Args:
        cases: items by section, as :func:`common.data.cases.training_cases` gives them for an evaluation; it refuses
            test cases that the run was trained on.
        run_dir: of the run; its ``models`` receive ``uncertainty.json``.
        device: to compute on.
        unit: of the target.
        head_threshold: of masks, for cases without a file; see :func:`common.evaluation.cases.load_case`.
        reader: of the volumes, as in training.
        standardise: compare z-scores inside the head, as :func:`common.evaluation.cases.load_case` makes them;
            otherwise a network with the scale of its targets answers in their unit.
        level: share of the voxels of a case and group within the interval.
        case_level: share of the cases in which they are.
        section: which cases; null for ``validation`` in :meth:`run` and ``test`` in :meth:`check`.

    Raises:
        ConfigError: for a level outside (0, 1), or a section that the run was trained on.
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

    def __post_init__(self) -> None:
        self.weights = Path(self.run_dir, "models", checkpoints.WEIGHTS_NAME)
        require_level("level", self.level)
        require_level("case_level", self.case_level)
        if self.section is not None and self.section not in SECTIONS:
            rule, remedy = f"is {' or '.join(SECTIONS)}, which the weights were not trained on", "omit the option"
            raise ConfigError("--section", rule, self.section, remedy)

    def run(self) -> Path:
        """Calibrate, write ``uncertainty.json`` next to the weights, print the intervals, return the file's path.

        Raises:
            DataError: too few cases with a target, or cases that the run was trained on.
            CheckpointError: there are no weights, or they do not fit.
        """
        items = self._items(SECTIONS[0])
        needed = cases_needed(self.case_level)
        if len(items) < needed:
            rule = f"has at least {needed} cases with a target for --case_level {self.case_level:g}"
            remedy = "give a --datalist with more in its section test and --section test, or a lower --case_level"
            raise DataError(f"calibration, section {self.section or SECTIONS[0]}", rule, len(items), remedy)
        files = self._hashes(items)
        self._require_untrained(items)
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
        items = self._items(SECTIONS[1])
        if not items:
            raise DataError(f"section {self.section or SECTIONS[1]}", "has cases with a target", 0, "add cases to it")
        seen = set(record.files)
        if used := [item["case"] for item in items if not seen.isdisjoint(self._hashes([item]))]:
            remedy = "give other held-out cases by --datalist"
            raise DataError("check", "is on cases that were not calibrated on", counted(used), remedy)
        self._require_untrained(items)
        rows = [
            row
            for name, sample in self._samples(items, self._method(), "check")
            for row in Checked.of(name, sample, record)
        ]
        print(f"\n{table(rows, record)}")
        return rows

    def _items(self, section: str) -> list[Item]:
        return [item for item in self.cases[self.section or section] if "label" in item]

    def _hashes(self, items: Sequence[Item]) -> set[str]:
        files = identify(items, self.reader)
        return {files[path].sha256 for item in items for path in paths_of(item)}

    def _require_untrained(self, items: Sequence[Item]) -> None:
        """Refuse cases that share an image with a training case of the run, whichever section lists them."""
        if not Path(self.run_dir, DATALIST_NAME).is_file():
            rule, remedy = "says which cases the weights were trained on", "calibrate in the folder of the training"
            raise DataError(str(Path(self.run_dir, DATALIST_NAME)), rule, "no such file", remedy)
        record = SplitRecord.read(Path(self.run_dir, DATALIST_NAME))
        trained = [item for section in ("training", *POOLS) for item in record.lists.get(section, [])]
        seen = {record.files[path].sha256 for item in trained for path in paths_of(item) if path in record.files}
        if leaked := [item["case"] for item in items if not seen.isdisjoint(self._hashes([item]))]:
            rule, remedy = "is on cases that the weights were not trained on", "give others by --datalist"
            raise DataError("calibration", rule, f"{counted(leaked)} of its training", remedy)

    def _method(self) -> EvaluatedMethod:
        method = variant(self.weights)
        method.load(self.weights, self.device)
        if hasattr(method.network, "target_scale") and not self.standardise:
            method.inferer = TargetScaleInferer(method.inferer)  # type: ignore[arg-type]
        return method

    def _samples(self, items: Sequence[Item], method: EvaluatedMethod, told: str) -> Iterator[tuple[str, Sample]]:
        """Name and voxels inside the mask of every case, one case at a time."""
        varied = variations(method.inferer, method.network)
        for item in tqdm(items, desc=told, unit="case"):
            case = load_case(item, self.head_threshold, self.reader, self.standardise)
            assert case.truth is not None
            prediction = method.predict(case, self.device)
            data = method.preprocessing({key: item[key] for key in ("case", "image")})

            def restore(output: Any, data: dict[str, Any] = data) -> np.ndarray:
                return np.asarray(method.postprocessing({**data, "pred": output.cpu()})["pred"][0])

            spread = spread_of(data["image"].to(self.device), prediction, varied, restore)
            parts = (prediction, spread, np.abs(prediction - case.truth))
            lesion = case.regions.get(LESION)
            inside = Sample(*(part[case.mask].astype(np.float32) for part in parts))
            yield case.name, inside._replace(lesion=None if lesion is None else lesion[case.mask])

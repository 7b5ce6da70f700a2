"""Calibration of a run's weights on held-out cases, intervals and verdicts in one go, and its check on others."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..config.record import RunRecord
from ..data.datalist import Item
from ..errors import ConfigError, DataError
from ..files import require_new_files
from ..io import VolumeReader
from ..units import ARBITRARY, PERCENT
from ..weights import checkpoints
from ..weights.info import origin
from .check import checked_cases, table
from .features import CaseFeatures
from .held_out import SECTIONS, HeldOutCases
from .held_out_errors import CaseErrors, HeldOutErrors
from .intervals import cases_needed, conformal_quantile, fitted, require_level
from .maps import inference_options, target_window
from .record import HELD_OUT, TrustRecord, read_record
from .verdict import VerdictLimits, allowed_deviations, usual_of

logger = logging.getLogger(__name__)
LEAST_CASES = 8
"""Fewer held-out cases do not show what is usual."""


@dataclass
class Calibration:
    """Calibrates the weights of a run on held-out cases, and checks intervals and verdicts on others.

    Args:
        cases: items by section, as :func:`common.data.selection.training_cases` gives them for an evaluation; it
            refuses test cases that the run was trained on.
        run_dir: of the run; its ``models`` receive ``model_trust.json``.
        device: to compute on.
        unit: of the target; ``z`` with ``standardise``; or percent of brightness for one that has another scale in each
            scan, see :func:`common.trust.maps.brightness`.
        tissues: see :class:`common.trust.features.CaseFeatures`.
        head_threshold: of masks, for cases without a file; see :func:`common.evaluation.held_out_case.load_case`.
        reader: of the volumes, as in training.
        standardise: compare z-scores inside the head, as :func:`common.evaluation.held_out_case.load_case` makes them;
            otherwise a network with the scale of its targets answers in their unit.
        copied: source and target have one unit: weights no better than the copied source have every case refused.
        by_removed: half-widths may grow with what a restoration removed around a voxel; source and target have one
            unit.
        level: share of the voxels of a case and group within the interval.
        case_level: share of the cases in which they are.
        section: which cases; null for ``validation`` in :meth:`run` and ``test`` in :meth:`check`.
        record: of the command.

    Raises:
        ConfigError: for a level outside (0, 1), a section that the run was trained on, or arbitrary units, in which the
            errors of two scans cannot be compared.
    """

    cases: Mapping[str, Sequence[Item]]
    run_dir: str
    device: torch.device
    unit: str
    tissues: Sequence[str] = ()
    head_threshold: float | None = None
    reader: VolumeReader | None = None
    standardise: bool = False
    copied: bool = False
    by_removed: bool = False
    level: float = 0.9
    case_level: float = 0.9
    section: str | None = None
    record: RunRecord | None = None

    def __post_init__(self) -> None:
        self.held_out = HeldOutCases(self.cases, self.run_dir, self.device, self.reader, self.section, self.record)
        if self.unit == ARBITRARY:
            fault = f"--calibration::unit is {self.unit}, whose scale differs between scans"
            raise ConfigError(fault, f"give z with standardise, or {PERCENT}")
        require_level("level", self.level)
        require_level("case_level", self.case_level)

    def run(self) -> Path:
        """Calibrate, write ``model_trust.json`` next to the weights, print it in short, and return the file's path.

        Raises:
            DataError: too few cases with a target, or cases that the run was trained on.
            CheckpointError: there are no weights, or they do not fit.
            OutputError: for a folder that cannot be written, before anything is inferred.
        """
        infer = self._inference()
        items = self.held_out.items(SECTIONS[0])
        needed = max(LEAST_CASES, cases_needed(self.case_level))
        if len(items) < needed:
            few = f"section {self.section or SECTIONS[0]} has {len(items)} cases with a target"
            fault = f"{few}, and a calibration with --case_level {self.case_level:g} needs {needed}"
            raise DataError(fault, "pass --section test and a --datalist with more cases in that section")
        files = self.held_out.hashes(items)
        self.held_out.require_untrained(items)
        require_new_files(self.held_out.weights.parent)
        cases = [infer(item, self.by_removed) for item in tqdm(items, "calibration", unit="case", disable=None)]
        record = TrustRecord(
            sha256=checkpoints.sha256(self.held_out.weights),
            unit=self.unit,
            cases=[case.case for case in cases],
            files=sorted(files),
            inference=inference_options(infer.method.inferer),
            level=self.level,
            case_level=self.case_level,
            intervals=fitted([case.voxels for case in cases], self.unit, self.level, self.case_level),
            tissues=list(self.tissues),
            limits=self._limits(cases),
            data=origin(self.held_out.weights) or HELD_OUT,
        )
        path = record.write(self.held_out.weights)
        _print(record, path)
        return path

    def check(self) -> None:
        """Print coverage and width of the intervals, and the verdicts, on other cases and their corruptions.

        Raises:
            DataError: no cases with a target, or cases that were calibrated on or trained on.
            CheckpointError: there is no calibration of these weights.
        """
        record = read_record(self.held_out.weights)
        items = self.held_out.to_check(record.files, record.unit, self.unit)
        print(f"\n{table(checked_cases(items, self._inference(), record), record)}")

    def _inference(self) -> HeldOutErrors:
        compared = ARBITRARY if self.unit == PERCENT else self.unit
        return HeldOutErrors(
            self.held_out.method(compared, self.standardise, "calibration"),
            self.device,
            CaseFeatures(self.unit, self.tissues),
            self.unit,
            self.head_threshold,
            self.reader,
            self.standardise,
            self.copied,
            target_window(self.held_out.weights),
        )

    def _limits(self, cases: Sequence[CaseErrors]) -> VerdictLimits:
        for case in cases:
            if isinstance(case.features, str):
                fault = f"calibration case {case.case} has no features ({case.features})"
                raise DataError(fault, "exclude it, or train longer")
        features = usual_of([case.features for case in cases if not isinstance(case.features, str)])
        errors = [case.mae for case in cases]
        baselines = {name: [case.baselines[name] for case in cases] for name in cases[0].baselines}
        return VerdictLimits(
            features=features,
            deviations=allowed_deviations(len(cases), len(features)),
            expected_mae=float(np.median(errors)),
            upper_mae=conformal_quantile(errors, self.case_level),
            baselines={name: float(np.median(values)) for name, values in baselines.items()},
        )


def _print(record: TrustRecord, path: Path) -> None:
    limits = record.limits
    print(f"\ncalibrated on {len(record.cases)} cases; intervals hold {record.hold}")
    for name, each in record.intervals.items():
        spread = f" + {each.per_spread:.3g} x removed noise" if each.per_spread else ""
        print(f"{name:6} +- {each.constant:.4g}{spread} {record.unit}, {each.cases} cases")
    others = "".join(f", {name} {value:.4g}" for name, value in limits.baselines.items())
    print(f"MAE {limits.expected_mae:.4g} {record.unit}, up to {limits.upper_mae:.4g}{others}")
    if limits.worse_than:
        logger.warning(f"the weights are no better than the {limits.worse_than}: their inferences refuse every case")
    print(f"written to {path}")

"""The file of a calibration, ``<weights>_trust.json`` next to the weights: intervals of voxels, verdicts of cases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..files import parse_json, write_text
from ..io.export.verdicts import REFUSE, REVIEW
from ..weights import checkpoints
from .intervals import Interval, groups_of, require_level, use_spread
from .verdict import Usual, VerdictLimits

SCHEMA_VERSION = 1
SPREAD = "removed"
"""What half-widths grow with, in the file: those of earlier versions may have another."""
HELD_OUT = "held out"
"""Calibration cases of which no more is known."""
OF_TYPES = {"sha256": str, "unit": str, "cases": list, "files": list, "inference": dict, "tissues": list, "data": str}
"""Entries that are taken as they stand in the file."""
REMEDY = "calibrate the weights by synthesize calibrate BUNDLE --output_dir OUT"


@dataclass(frozen=True)
class TrustRecord:
    """A calibration.

    Attributes:
        sha256: of the weights.
        unit: of the target, in which errors are.
        cases: names of the calibration cases.
        files: hashes of their images and labels; see :mod:`common.data.identity`.
        inference: see :func:`common.trust.maps.inference_options`.
        level: share of a case's voxels within the interval.
        case_level: share of cases in which they are.
        intervals: by group, see :func:`common.trust.intervals.groups_of`.
        tissues: see :class:`common.trust.features.CaseFeatures`.
        limits: of the verdicts.
        data: what the cases are, in words.
    """

    sha256: str
    unit: str
    cases: list[str]
    files: list[str]
    inference: dict[str, Any]
    level: float
    case_level: float
    intervals: dict[str, Interval]
    tissues: list[str]
    limits: VerdictLimits
    data: str = HELD_OUT

    @property
    def hold(self) -> str:
        """What the intervals hold, such as "90% of voxels in 90% of cases"."""
        return f"{100 * self.level:g}% of voxels in {100 * self.case_level:g}% of cases"

    def write(self, weights: Path) -> Path:
        """Write the file next to its weights, and return its path.

        Raises:
            OutputError: for a folder that cannot be written.
        """
        about = asdict(self)
        about["intervals"] = {group: each._asdict() for group, each in self.intervals.items()}
        features = {name: each._asdict() for name, each in self.limits.features.items()}
        about["limits"] = {**self.limits._asdict(), "features": features}
        path = path_of(weights)
        write_text(path, json.dumps({"schema_version": SCHEMA_VERSION, **about, "spread": SPREAD}, indent=1) + "\n")
        return path


def path_of(weights: Path) -> Path:
    """The path of the calibration of weights."""
    return weights.with_name(f"{weights.stem}_trust.json")


def read_record(weights: Path) -> TrustRecord:
    """The calibration of exactly these weights.

    Raises:
        CheckpointError: there is none, it is of an earlier version or of other weights, or it is damaged.
    """
    path = path_of(weights)
    if not path.is_file():
        raise CheckpointError(f"no calibration at {path}", REMEDY)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {content['schema_version']}, this version reads {SCHEMA_VERSION}")
        record = _parsed(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # sections that are none, too
        raise CheckpointError(f"cannot read the calibration at {path} ({repr(error)[:200]})", REMEDY) from error
    if (own := checkpoints.sha256(weights)) != record.sha256:
        fault = f"{path} calibrates the weights {record.sha256[:12]}..., and these are {own[:12]}..."
        raise CheckpointError(fault, REMEDY)
    return record


def _parsed(content: Mapping[str, Any]) -> TrustRecord:
    content = {"data": HELD_OUT, **content}
    known: dict[str, Any] = {name: content[name] for name in TrustRecord.__dataclass_fields__}
    limits = dict(known["limits"])
    features = {name: Usual(**_finite(each)) for name, each in limits.pop("features").items()}
    deviations, baselines = _finite(limits.pop("deviations")), _finite(limits.pop("baselines"))
    known["limits"] = VerdictLimits(features, deviations, **_finite(limits), baselines=baselines)
    known["intervals"] = {group: Interval(**_finite(each)) for group, each in known["intervals"].items()}
    if use_spread(known["intervals"]) and content.get("spread") != SPREAD:
        raise ValueError("its intervals grow with the outputs of varied inputs, as in an earlier version")
    for name, kind in OF_TYPES.items():
        if not isinstance(known[name], kind):
            raise ValueError(f"{name} {known[name]!r}")
    require_level("level", known["level"])
    require_level("case_level", known["case_level"])
    if not features or not baselines or set(deviations) != {REVIEW, REFUSE}:
        raise ValueError(f"limits of {len(features)} features, {len(baselines)} baselines, {sorted(deviations)}")
    if flat := [name for name, usual in features.items() if usual.deviation <= 0]:
        raise ValueError(f"no deviation of {flat[0]}")
    if known["intervals"].keys() != groups_of(np.zeros(1), known["unit"]).keys():
        raise ValueError(f"intervals of {sorted(known['intervals'])}")
    return TrustRecord(**known)


def _finite(content: Mapping[str, Any]) -> dict[str, Any]:
    if not all(isinstance(value, int | float) and 0 <= abs(value) < math.inf for value in content.values()):
        raise ValueError(f"{content}")
    return dict(content)

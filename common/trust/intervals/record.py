"""The file of a calibration, ``<weights>_uncertainty.json`` next to the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...weights.beside import read_beside, write_beside
from .conformal import ALL, Interval

SCHEMA_VERSION = 1
COMMAND = (
    "python -m monai.bundle run calibrating --config_file \"['CONFIGS/train.yaml','CONFIGS/evaluate.yaml']\" "
    "--output_dir OUT"
)


@dataclass(frozen=True)
class Record:
    """A calibration.

    Attributes:
        sha256: of the weights.
        unit: of the target.
        level: share of a case's voxels within the interval.
        case_level: share of cases in which they are.
        manner: see :func:`common.trust.intervals.variations.manner`.
        intervals: by group.
        constant: those of constant width, for comparison.
        cases: names of the cases that were calibrated on.
        files: hashes of their images and labels; see :mod:`common.data.identity`.
    """

    sha256: str
    unit: str
    level: float
    case_level: float
    manner: dict[str, Any]
    intervals: dict[str, Interval]
    constant: dict[str, Interval]
    cases: list[str]
    files: list[str]

    @property
    def hold(self) -> str:
        """What the intervals hold, such as "90% of voxels in 90% of cases"."""
        return f"{100 * self.level:g}% of voxels in {100 * self.case_level:g}% of cases"

    def write(self, weights: Path) -> Path:
        """Write the file next to its weights, and return its path.

        Raises:
            OutputError: for a folder that cannot be written.
        """
        told = asdict(self) | {
            name: {group: each._asdict() for group, each in part.items()}
            for name, part in (("intervals", self.intervals), ("constant", self.constant))
        }
        return write_beside(path_of(weights), SCHEMA_VERSION, told)


def path_of(weights: Path) -> Path:
    """The path of the calibration of weights."""
    return weights.with_name(f"{weights.stem}_uncertainty.json")


def read_record(weights: Path) -> Record:
    """The calibration of exactly these weights.

    Raises:
        CheckpointError: there is none, it is of other weights, or it is not as written.
    """
    words = {"option": "--uncertainty", "kind": "a calibration", "remedy": f"calibrate these weights: {COMMAND}"}
    return read_beside(weights, path_of(weights), SCHEMA_VERSION, _parsed, words)


def _parsed(told: Mapping[str, Any]) -> Record:
    known: dict[str, Any] = {name: told[name] for name in Record.__dataclass_fields__}
    return Record(**known | {name: _intervals(told[name]) for name in ("intervals", "constant")})


def _intervals(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Interval]:
    found = {group: Interval(float(e["factor"]), float(e["floor"]), int(e["cases"])) for group, e in told.items()}
    if ALL not in found or not all(0 <= each.factor < float("inf") and each.floor > 0 for each in found.values()):
        raise ValueError(f"intervals {told}")
    return found

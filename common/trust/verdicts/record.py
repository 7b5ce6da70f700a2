"""The file of a grading, ``<weights>_quality.json`` next to the weights: ``model_quality.json`` of ``model.pt``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...io.export.verdicts import LOOK, REFUSE
from ...weights.beside import read_beside, write_beside
from .predictor import Predictor, Term
from .verdict import Limits, Usual

SCHEMA_VERSION = 2
COMMAND = (
    "python -m monai.bundle run grading --config_file \"['CONFIGS/train.yaml','CONFIGS/evaluate.yaml']\" "
    + "--output_dir OUT"
)


@dataclass(frozen=True)
class Record:
    """A grading.

    Attributes:
        sha256: of the weights.
        unit: in which the error is predicted.
        tissues: see :class:`common.trust.verdicts.signs.Signs`.
        predictor: of the error.
        limits: of the verdicts.
        cross_validated: of predictions for left-out cases: ``samples``, ``rank_correlation`` (Spearman's) with the
            true error, that of intact cases alone, and ``error_factor``, the median of the larger over the smaller.
        mae: medians of the intact cases: ``intact`` of the network's error, then those of answers without one, see
            :class:`common.trust.verdicts.samples.Sample`.
        distortions: names of those that were fitted.
        cases: names of the cases.
        files: hashes of their images and labels; see :mod:`common.data.identity`.
    """

    sha256: str
    unit: str
    tissues: list[str]
    predictor: Predictor
    limits: Limits
    cross_validated: dict[str, float]
    mae: dict[str, float]
    distortions: list[str]
    cases: list[str]
    files: list[str]

    def write(self, weights: Path) -> Path:
        """Write the file next to its weights, and return its path.

        Raises:
            OutputError: for a folder that cannot be written.
        """
        about = asdict(self)
        terms = {name: term._asdict() for name, term in self.predictor.terms.items()}
        usual = {name: each._asdict() for name, each in self.limits.usual.items()}
        about["predictor"] = {**self.predictor._asdict(), "terms": terms}
        about["limits"] = {**self.limits._asdict(), "usual": usual}
        return write_beside(path_of(weights), SCHEMA_VERSION, about)


def path_of(weights: Path) -> Path:
    """The path of the grading of weights."""
    return weights.with_name(f"{weights.stem}_quality.json")


def read_record(weights: Path) -> Record:
    """The grading of exactly these weights.

    Raises:
        CheckpointError: there is none, it is of other weights, or it is not as written.
    """
    words = {"option": "--refuse", "kind": "a grading of the weights", "remedy": f"grade these weights: {COMMAND}"}
    return read_beside(weights, path_of(weights), SCHEMA_VERSION, _parsed, words)


def _parsed(told: Mapping[str, Any]) -> Record:
    known: dict[str, Any] = {name: told[name] for name in Record.__dataclass_fields__}
    fit, limits = dict(known["predictor"]), dict(known["limits"])
    fit["terms"] = {name: Term(**_numbers(term)) for name, term in fit["terms"].items()}
    limits["usual"] = {name: Usual(**_numbers(each)) for name, each in limits["usual"].items()}
    if limits["usual"].keys() != fit["terms"].keys() or not fit["terms"]:
        raise ValueError("limits and predictor have other signs")
    for name in ("mae", "deviations"):
        if set(limits[name]) != {LOOK, REFUSE}:
            raise ValueError(f"{name} {limits[name]}")
        limits[name] = _numbers(limits[name])
    return Record(**known | {"predictor": Predictor(**fit), "limits": Limits(**limits)})


def _numbers(told: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in told.items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{told}")
    return numbers

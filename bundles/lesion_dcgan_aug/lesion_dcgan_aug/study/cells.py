"""A cell of the study: one classifier, trained on one fold with one seed and one kind of augmentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError
from common.files import write_text


@dataclass(frozen=True, order=True)
class Arm:
    """An augmentation: patches added to each class by classic transforms and by the GAN."""

    classic: int = 0
    gan: int = 0

    @property
    def label(self) -> str:
        """Its name in tables."""
        parts = [f"classic {self.classic}" if self.classic else "", f"GAN {self.gan}" if self.gan else ""]
        return " + ".join(part for part in parts if part) or "none"


@dataclass(frozen=True)
class StudyCell:
    """The outcome of a cell: its confusion matrix (K, K), rows the true class, and the predictions behind it."""

    fold: int
    seed: int
    arm: Arm
    confusion: list[list[int]]
    predictions: dict[str, str]
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repeat(self) -> str:
        """Fold and seed: what cells of different arms share."""
        return f"fold {self.fold}, seed {self.seed}"


def cell_path(folder: Path, fold: int, seed: int, arm: Arm) -> Path:
    """Where a cell's file stands."""
    return folder / "cells" / f"fold{fold}_seed{seed}_classic{arm.classic}_gan{arm.gan}.json"


def write_cell(folder: Path, cell: StudyCell) -> None:
    """Write a finished cell, whole or not at all."""
    write_text(cell_path(folder, cell.fold, cell.seed, cell.arm), json.dumps(asdict(cell), indent=1) + "\n")


def read_cell(folder: Path, fold: int, seed: int, arm: Arm, settings: Mapping[str, Any]) -> StudyCell | None:
    """A cell that was finished before, None if it was not.

    Raises:
        ConfigError: where it was made with other settings or data.
        DataError: where its file is damaged.
    """
    path = cell_path(folder, fold, seed, arm)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cell = StudyCell(**{**content, "arm": Arm(**content["arm"])})
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__} ({error})"
        raise DataError(str(path), "is a cell of the study", reason, "remove it") from error
    different = sorted(name for name in settings if cell.settings.get(name) != json.loads(json.dumps(settings[name])))
    if different:
        rule = "was made with the settings of this study"
        remedy = f"remove {folder}, or give another --output_dir"
        raise ConfigError(str(path), rule, f"other {', '.join(different)}", remedy)
    return cell

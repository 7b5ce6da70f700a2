"""Results of the study on disk: one file for each fold, seed and augmentation arm."""

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
    """An augmentation arm of the study: what is added to each fold trained on.

    Attributes:
        classic: views of its lesions by classic transforms.
        gan: samples of each class.
    """

    classic: int = 0
    gan: int = 0

    @property
    def label(self) -> str:
        """The arm's name in tables."""
        parts = [f"classic {self.classic}" if self.classic else "", f"GAN {self.gan}" if self.gan else ""]
        return " + ".join(part for part in parts if part) or "none"


@dataclass(frozen=True)
class FoldResult:
    """Result of one classifier, trained on one fold with one seed and one augmentation arm.

    Attributes:
        fold: the fold that it was tested on.
        seed: of folds, networks and augmentation.
        arm: the augmentation.
        confusion: counts (K, K), rows the true class, columns the predicted one.
        predictions: predicted class of each test case, by the case's name.
        seconds: run time.
        settings: of the study; see :meth:`lesion_dcgan_aug.study.study.AugmentationStudy.run`.
    """

    fold: int
    seed: int
    arm: Arm
    confusion: list[list[int]]
    predictions: dict[str, str]
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def repeat(self) -> str:
        """Fold and seed, which the results of different arms share."""
        return f"fold {self.fold}, seed {self.seed}"


def result_path(folder: Path, fold: int, seed: int, arm: Arm) -> Path:
    """Path of a result's file."""
    return folder / "cells" / f"fold{fold}_seed{seed}_classic{arm.classic}_gan{arm.gan}.json"


def write_result(folder: Path, result: FoldResult) -> None:
    """Write a result, whole or not at all."""
    path = result_path(folder, result.fold, result.seed, result.arm)
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")


def read_result(folder: Path, fold: int, seed: int, arm: Arm, settings: Mapping[str, Any]) -> FoldResult | None:
    """Read a result of an earlier run; None if there is none.

    Raises:
        ConfigError: the result was made with other settings or data.
        DataError: the file is damaged.
    """
    path = result_path(folder, fold, seed, arm)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        result = FoldResult(**{**content, "arm": Arm(**content["arm"])})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error})", "remove it") from error
    different = sorted(name for name in settings if result.settings.get(name) != json.loads(json.dumps(settings[name])))
    if different:
        fault = f"{path} was computed with other settings ({', '.join(different)})"
        raise ConfigError(fault, f"remove {folder}, or pass another --output_dir")
    return result

"""The plan as an overlay of a bundle's train.yaml: one setting a line, with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import OutputError
from ..files import write_text
from .fingerprint import Case
from .geometry import median_spacing
from .planning import Plan, values_of
from .recipe import Recipe
from .schedule import seconds_of
from .search import GB, Budget

COLUMNS = 120


def text_of(recipe: Recipe, cases: Sequence[Case], plan: Plan, budget: Budget, name: str) -> str:
    """The overlay: three lines of comment, then a line for each setting.

    Args:
        recipe: of the bundle.
        cases: of the fingerprint.
        plan: of the training.
        budget: that it keeps.
        name: of the file, for the command in its head.
    """
    hours = seconds_of(plan.schedule.steps, plan.step.operations, budget.teraflops) / 3600
    spacing = " x ".join(f"{each:.3g}" for each in median_spacing(cases))
    options = "".join(f" --{key} {_typed(value)}" for key, value in sorted(recipe.given.items()))
    data = "--datalist DATALIST" if "datalist" in recipe.where else "--dataset_dir DATA"
    count = "1 case" if len(cases) == 1 else f"{len(cases)} cases"
    files = f"\"['CONFIGS/train.yaml','{name}']\""
    lines = [
        f"# Plan of {recipe.folder.name} for {count} of {spacing} mm (rules after Isensee et al. 2021).",
        f"# python -m monai.bundle run training --config_file {files} {data}{options}",
        f"# A step: {plan.step.memory / GB:.2f} GB, {plan.step.operations / 1e9:.3g} GFLOP."
        f" {plan.schedule.steps} steps: {hours:.2g} h at {budget.teraflops:g} TFLOP/s. Its result is not known.",
    ]
    lines += [_line(f"{each.name}: {_written(each.value)}", each.reason) for each in plan.settings]
    return "\n".join(lines) + "\n"


def write_plan(path: Path, text: str, recipe: Recipe, plan: Plan, overwrite: bool = False) -> None:
    """Write the overlay, after its settings have passed the checks of the bundle.

    Raises:
        ConfigError: as :func:`common.config.prepare`.
        OutputError: for a file that exists, or cannot be written.
    """
    require_free(path, overwrite)
    settings = yaml.safe_load(text)
    assert settings == values_of(plan.settings), "what is written is what was planned"
    recipe.checked(settings)
    write_text(path, text)


def require_free(path: Path, overwrite: bool) -> None:
    """Refuse a file that exists, unless it may be replaced.

    Raises:
        OutputError: it does.
    """
    if path.is_dir() or path.exists() and not overwrite:
        found, remedy = ("a folder", "name a file") if path.is_dir() else ("a file", "add --overwrite")
        raise OutputError(f"--out {path}", "does not exist yet", found, f"{remedy}, or another --out")


def _line(setting: str, reason: str) -> str:
    whole = f"{setting}  # {reason}"
    return whole if len(whole) <= COLUMNS else f"{whole[: COLUMNS - 3]}..."


def _written(value: Any) -> str:
    """A value in YAML's flow style."""
    return value if isinstance(value, str) else json.dumps(value)


def _typed(value: Any) -> str:
    """A value as it is typed on a command line."""
    return f"'{json.dumps(value)}'" if isinstance(value, list | dict) else _written(value)

"""The plan as an overlay of a bundle's train.yaml: one setting a line, with its reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .fingerprint import CaseProperties
from .geometry import median_spacing
from .planning import Plan, joined
from .recipe import Recipe

COLUMNS = 120


def text_of(recipe: Recipe, cases: Sequence[CaseProperties], plan: Plan, name: str) -> str:
    """The overlay: three lines of comment, then a line for each setting.

    Args:
        recipe: of the bundle.
        cases: of the fingerprint.
        plan: of the training.
        name: of the file, for the command in its head.
    """
    options = "".join(f" --{key} {_typed(value)}" for key, value in sorted(recipe.given.items()))
    data = "--datalist DATALIST" if "datalist" in recipe.where else "--dataset_dir DATA"
    files = ",".join(f"'{file}'" for file in ["CONFIGS/train.yaml", *recipe.files[1:], name])
    memory = "" if plan.step.memory_gb is None else f" and {plan.step.memory_gb:.2f} GB"
    lines = [
        f"# Plan of {recipe.folder.name} for {len(cases)} training case{'s' * (len(cases) > 1)} of"
        f" {joined(median_spacing(cases), '.3g')} mm (rules after Isensee et al. 2021).",
        f'# python -m monai.bundle run training --config_file "[{files}]" {data}{options}',
        f"# Measured here: a step takes {plan.step.seconds:.2g} s{memory}, so that the training takes about"
        f" {plan.hours:.2g} h.",
    ]
    for each in plan.settings:
        line = f"{each.name}: {_written(each.value)}  # {each.reason}"
        lines.append(line if len(line) <= COLUMNS else f"{line[: COLUMNS - 3]}...")
    return "\n".join(lines) + "\n"


def require_free(path: Path, overwrite: bool) -> None:
    """Refuse a file that exists, unless it may be replaced.

    Raises:
        OutputError: it does.
    """
    if path.is_dir() or path.exists() and not overwrite:
        fault, remedy = ("is a folder", "name a file") if path.is_dir() else ("already exists", "add --overwrite")
        raise OutputError(f"--out {path} {fault}", f"{remedy}, or pass another --out")


def _written(value: Any) -> str:
    """A value in YAML's flow style."""
    return value if isinstance(value, str) else json.dumps(value)


def _typed(value: Any) -> str:
    """A value as it is typed on a command line."""
    return f"'{json.dumps(value)}'" if isinstance(value, list | dict) else _written(value)

"""Plan of a training: ``python -m common.plan --dataset_dir DATA --bundle NAME [--out plan.yaml]``."""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, exit_code_of_mistakes, path_option
from ..files import write_text
from .fingerprint import fingerprint
from .overlay import require_free, text_of
from .planning import plan_of
from .recipe import Recipe


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 for a user's mistake."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options, words = plan_parser().parse_known_args(arguments)
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    for name, value in (("memory_gb", options.memory_gb), ("hours", options.hours)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(f"--{name}", "is above zero", value, "correct it")
    if not options.dataset_dir and not options.datalist:
        raise ConfigError("--dataset_dir", "names the data, or --datalist does", "neither", "give one of them")
    require_free(options.out, options.overwrite == "true")
    given = settings_given(words)
    where = {name: str(path) for name in ("dataset_dir", "datalist") if (path := getattr(options, name))}
    recipe = Recipe(options.bundle, given, where)
    cases = fingerprint(recipe.cases, recipe.preprocessing())
    plan = plan_of(recipe, cases, options.hours, options.memory_gb)
    recipe.checked({each.name: each.value for each in plan.settings})
    text = text_of(recipe, cases, plan, options.out.name)
    write_text(options.out, text)
    print(text, end="")
    print(f"written to {options.out}")
    return 0


def settings_given(words: Sequence[str]) -> dict[str, Any]:
    """Settings of the bundle on the command line, ``--name value``, read as YAML.

    Raises:
        ConfigError: for a word that is no option, or an option without a value.
    """
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        name, has_value, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise ConfigError(name, "follows an option", "none before it", "write settings as --name value")
        if not has_value and (not rest or rest[0].startswith("--")):
            raise ConfigError(name, "has a value", "none", "write it after the option")
        text = value if has_value else rest.pop(0)
        try:
            found[name[2:]] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(name, "is a value of YAML", text, "quote lists, such as '[0, 255]'") from error
    return found


def plan_parser() -> argparse.ArgumentParser:
    """The options of the command; what it does not know is a setting of the bundle."""
    about = "Plan a training from its data. Further options, --name value, are settings of the bundle's train.yaml."
    parser = argparse.ArgumentParser(prog="python -m common.plan", description=about, allow_abbrev=False)
    parser.add_argument("--bundle", required=True, help="the bundle's name or folder")
    parser.add_argument("--dataset_dir", type=path_option, help="folder of the cases, as in the training")
    parser.add_argument("--datalist", type=path_option, help="JSON file instead of the folder")
    parser.add_argument("--out", type=path_option, default=Path("plan.yaml"), help="to write (default: %(default)s)")
    parser.add_argument("--overwrite", choices=("true", "false"), default="false", help="replace an existing --out")
    parser.add_argument("--memory_gb", type=float, help="GB (10^9 bytes) of a GPU for a step (default: all)")
    parser.add_argument("--hours", type=float, help="limit of the training (default: the published epochs)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

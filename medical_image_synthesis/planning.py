"""``synthesize plan``: an overlay with settings that fit the data and a budget."""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from common.errors import ConfigError, path_option
from medical_image_synthesis.options import add_bundle, add_overlay, config_files, settings_of

EXAMPLES = """examples:
  synthesize plan mr2ct --dataset_dir DATA --out plan.yaml --hours 12
  synthesize train mr2ct --dataset_dir DATA --overlay plan.yaml

Any setting of train.yaml is an option, and stays as it is given."""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command; what it does not know is a setting of the bundle."""
    command.epilog = EXAMPLES
    add_bundle(command)
    add = command.add_argument
    add("--dataset_dir", metavar="DATA", type=path_option, help="folder of the cases, as in the training")
    add("--datalist", type=path_option, help="path of a datalist, instead of --dataset_dir")
    add_overlay(command)
    add("--out", type=path_option, default=Path("plan.yaml"), help="path of the plan (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace an existing --out")
    add("--memory_gb", type=float, help="GPU memory of a step in GB, 10^9 bytes (default: all)")
    add("--hours", type=float, help="limit of the training in hours (default: the published epochs)")
    command.set_defaults(run=plan, takes_settings=True)


def plan(options: argparse.Namespace, words: Sequence[str]) -> int:
    """Write the plan, and print it."""
    for name in ("memory_gb", "hours"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(f"--{name} is {value:g}, not above zero", "pass a positive number")
    if not options.dataset_dir and not options.datalist:
        raise ConfigError("no data are named", "pass --dataset_dir DATA or --datalist FILE")
    from common.config.command import read_option
    from common.files import write_text
    from common.plan.fingerprint import fingerprint
    from common.plan.overlay import require_free, text_of
    from common.plan.planning import plan_of
    from common.plan.recipe import Recipe

    settings = {name: read_option(name, text) for name, text in settings_of(words).items()}
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)  # of the step that is measured
    _, *overlays = config_files(options.bundle, ["train"], options.overlay)
    options.bundle.join_path()
    require_free(options.out, options.overwrite)
    where = {name: str(path) for name in ("dataset_dir", "datalist") if (path := getattr(options, name))}
    recipe = Recipe(str(options.bundle.folder), settings, where, overlays)
    cases = fingerprint(recipe.cases, recipe.preprocessing())
    made = plan_of(recipe, cases, options.hours, options.memory_gb)
    recipe.checked({each.name: each.value for each in made.settings})
    text = text_of(recipe, cases, made, options.out.name)
    write_text(options.out, text)
    print(text, end="")
    print(f"written to {options.out}")
    return 0

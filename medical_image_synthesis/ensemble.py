"""``synthesize ensemble``: the trained folds of a variant become one network, the mean of theirs."""

from __future__ import annotations

import argparse
from pathlib import Path

from common.errors import ConfigError, path_option
from common.files import require_file_name

EXAMPLES = """examples:
  synthesize train mr2ct --dataset_dir DATA --output_dir OUT --overlay resenc --fold 0
  synthesize train mr2ct --dataset_dir DATA --output_dir OUT --overlay resenc --fold 1
  synthesize ensemble --output_dir OUT"""


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options of the command."""
    command.epilog = EXAMPLES
    command.add_argument("--output_dir", metavar="OUT", type=path_option, required=True, help="folder of the trainings")
    command.add_argument("--variant", default="resenc", help="variant of the folds (default: %(default)s)")
    command.add_argument("--name", help="variant name of the ensemble (default: VARIANT_ensemble)")
    command.set_defaults(run=ensemble)


def ensemble(options: argparse.Namespace) -> int:
    """Join the folds, and print how to use the result."""
    name = options.name or f"{options.variant}_ensemble"
    require_file_name(name, "--name", error=ConfigError)
    from common.runs import run_dir
    from common.training.ensemble import folds_of, join

    runs = folds_of(options.output_dir, options.variant)
    path = join(runs, Path(run_dir(str(options.output_dir), name)))
    print(f"written: {path}, the mean of {', '.join(run.name for run in runs)}")
    print(f"use it by --output_dir {options.output_dir} --variant {name}")
    return 0

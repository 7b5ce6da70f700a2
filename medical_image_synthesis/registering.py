"""``synthesize register``: source and target of each case brought onto one grid."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from common.errors import ConfigError, path_option
from medical_image_synthesis import datasets
from medical_image_synthesis.options import add_bundle, add_reader, reader_of

EXAMPLES = """examples:
  synthesize register mr2ct --dataset_dir DATA --out REGISTERED
  synthesize register mr2ct --datalist datalist.json --out REGISTERED --rigid
  synthesize register --dataset_dir DATA --source t1 --target t2 --out REGISTERED"""
MOVED = ("target", "source")
CHOSEN = "(default: %(default)s)"


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options."""
    command.epilog = EXAMPLES
    add = command.add_argument
    add("--datalist", type=path_option, help="path of a datalist, instead of --dataset_dir")
    add_bundle(command, optional="names of files and windows are as in its train.yaml")
    datasets.add_folder(command, datasets.LAYOUTS)
    add("--out", type=path_option, required=True, help="folder of the results, <case>/FILE")
    add("--overwrite", action="store_true", help="replace cases that exist")
    add("--move", choices=MOVED, default=MOVED[0], help=f"volume that is moved onto the other's grid {CHOSEN}")
    add("--rigid", action="store_true", help="rigid alignment only, no deformation")
    add("--centred", action="store_true", help="start from the centres of the bodies, whatever the headers say")
    window: dict[str, Any] = {"type": float, "nargs": 2, "metavar": ("LOW", "HIGH")}
    about = "window of the source, for a CT from below -200 to above 200 HU; repeat it for further channels"
    add("--source_range", action="append", help=about, **window)
    add("--target_range", help="window of the target, for a CT from below -200 to above 200 HU", **window)
    gate = command.add_argument_group("quality gate")
    about = f"least loss of mutual information by a shift of 4 mm, over the target's entropy {CHOSEN}"
    gate.add_argument("--least_sharpness", type=float, default=0.08, help=about)
    gate.add_argument("--least_dice", type=float, default=0.9, help=f"least Dice of the two bodies {CHOSEN}")
    gate.add_argument(
        "--largest_displacement", type=float, default=20.0, metavar="MM", help=f"largest deformation {CHOSEN}"
    )
    gate.add_argument("--keep_failed", action="store_true", help="write cases that fail, too")
    add_reader(command)
    command.set_defaults(run=register, target_unclipped=False, channels=None, resample=False)


def register(options: argparse.Namespace) -> int:
    """Register every case; 1 where some failed."""
    from common.data.checks.volumes import is_of_ct
    from common.data.datalist import load_datalist
    from common.registration.cases import register_cases
    from common.registration.inputs import Registration
    from common.registration.quality import Limits

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.bundle is not None:
        datasets.fill_in(options)
    source, target, _ = datasets.names_of(options)
    if not target:
        raise ConfigError("--target is empty, nothing to register to", "name the target's file")
    sources = tuple(name.strip() for name in source.split(","))
    ranges = options.source_range or []
    if ranges and not isinstance(ranges[0], list | tuple):
        ranges = [ranges]
    windows = dict(zip(sources, ranges * len(sources) if len(ranges) == 1 else ranges, strict=False))
    windows |= {target: options.target_range} if options.target_range else {}
    plan = Registration(
        sources, target, tuple(name for name, window in windows.items() if is_of_ct(window)),
        options.move == "source", not options.rigid, options.centred, options.keep_failed,
        Limits(options.least_sharpness, options.least_dice, displacement=options.largest_displacement),
    )  # fmt: skip
    lists = load_datalist(options.datalist) if options.datalist else {"": datasets.cases_of(options)}
    cases = register_cases(lists, options.out, plan, reader_of(options), options.overwrite)
    print(f"{cases} cases registered, in {options.out}; checkerboards in {options.out / 'registration.html'}")
    return 0

"""``synthesize register``: source and target of each case brought onto one grid."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence

from common.errors import ConfigError, choose, path_option
from medical_image_synthesis import datasets
from medical_image_synthesis.options import add_bundle, add_reader, reader_of

EXAMPLES = """examples:
  synthesize register mr2ct --dataset_dir DATA --out REGISTERED
  synthesize register mr2ct --datalist datalist.json --out REGISTERED --deform"""
CHOSEN = "(default: %(default)s)"


def add(command: argparse.ArgumentParser, _: str) -> None:
    """Add the options."""
    command.epilog = EXAMPLES
    add = command.add_argument
    add("--datalist", type=path_option, help="path of a datalist, instead of --dataset_dir")
    add_bundle(command, optional="names of files are its own")
    datasets.add_folder(command, datasets.LAYOUTS)
    add("--ct", metavar="NAMES", help="files in HU, separated by commas (default: by windows of the bundle)")
    add("--out", type=path_option, required=True, help="folder of the results, <case>/FILE")
    add("--overwrite", action="store_true", help="replace cases that exist")
    add("--move_source", action="store_true", help="move the source onto the target's grid instead")
    add("--deform", action="store_true", help="a B-spline after the rigid alignment")
    add("--centred", action="store_true", help="start with the bodies' centres on each other")
    gate = command.add_argument_group("quality gate")
    gate.add_argument("--least_sharpness", type=float, default=0.05, metavar="X", help=f"see the page {CHOSEN}")
    gate.add_argument("--least_dice", type=float, default=0.9, metavar="X", help=f"of the two bodies {CHOSEN}")
    gate.add_argument("--largest_mm", type=float, default=20.0, metavar="X", help=f"of the deformation {CHOSEN}")
    gate.add_argument("--keep_failed", action="store_true", help="write cases that fail, too")
    add_reader(command)
    read = {"source_range": None, "target_range": None, "target_unclipped": False, "channels": None, "resample": False}
    command.set_defaults(run=register, **read)


def register(options: argparse.Namespace) -> int:
    """Register every case; 1 where some failed."""
    from common.data.datalist import load_datalist
    from common.registration.data_set import register_cases
    from common.registration.inputs import Registration
    from common.registration.quality import Limits

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.bundle is not None:
        datasets.fill_in(options)
    source, target, _ = datasets.names_of(options)
    if not target:
        raise ConfigError("--target is empty, nothing to register to", "name the target's file")
    sources = tuple(name.strip() for name in source.split(","))
    limits = Limits(options.least_sharpness, options.least_dice, displacement=options.largest_mm)
    plan = Registration(
        sources, target, _ct(options, sources, target), options.move_source, options.deform, options.centred,
        options.keep_failed, limits,
    )  # fmt: skip
    lists = load_datalist(options.datalist) if options.datalist else {"": datasets.cases_of(options)}
    cases = register_cases(lists, options.out, plan, reader_of(options), options.overwrite)
    print(f"{cases} cases registered, in {options.out}; checkerboards in {options.out / 'registration.html'}")
    return 0


def _ct(options: argparse.Namespace, sources: Sequence[str], target: str) -> tuple[str, ...]:
    """Names of the files in HU: the given ones, otherwise those whose window of the bundle is that of a CT.

    Raises:
        ConfigError: for a name that is neither source nor target.
    """
    from common.data.checks.volumes import is_of_ct

    if options.ct is not None:
        given = tuple(name.strip() for name in options.ct.split(","))
        if unknown := [name for name in given if name not in (*sources, target)]:
            raise ConfigError(f"--ct names {unknown[0]}, neither source nor target", choose([*sources, target]))
        return given
    windows = options.source_range or [None]
    windows = windows if windows[0] is None or isinstance(windows[0], list | tuple) else [windows]
    windows = windows * len(sources) if len(windows) == 1 else windows
    named = zip((*sources, target), (*windows[: len(sources)], options.target_range), strict=True)
    return tuple(name for name, window in named if window and is_of_ct(window))

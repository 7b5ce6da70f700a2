"""Commands for datalists and data checks: ``python -m common.data make-datalist`` and ``... check``."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..config import read_config
from ..errors import ConfigError, Finding, OutputError, exit_code_of_mistakes
from ..io.options import add_reader_options, reader_of
from .checks.cases import check_cases, summed_up
from .checks.duplicates import copies
from .datalist import Item, load_datalist, split_by_patient, write_datalist
from .identity import identify
from .layouts.folders import DEFAULT_MASK, DEFAULT_NAMES, LAYOUTS, find_cases

LAYOUT_GROUP = "medical_image_synthesis.layouts"
"""Entry point group of bundle-specific layouts: a module like :class:`BundleLayout` for each name of a layout."""


class BundleLayout(Protocol):
    """The interface of a bundle-specific layout, with its own options, files and checks."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the layout's options to ``make-datalist``."""

    def make_datalist(self, options: argparse.Namespace) -> int:
        """Write the datalist and return the exit code."""

    def check(self, lists: dict[str, list[Item]]) -> list[Finding] | None:
        """The findings about the cases of a datalist; None if they are not of this layout."""


def installed_layouts() -> dict[str, BundleLayout]:
    """The layouts of the installed bundles by name."""
    found = importlib.metadata.entry_points(group=LAYOUT_GROUP)
    return {entry.name: entry.load() for entry in sorted(found, key=lambda entry: entry.name)}


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None, layouts: Mapping[str, BundleLayout] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 for cases with errors and for mistakes of the user.

    Args:
        arguments: of the command line.
        layouts: of bundles, by name; by default those of the installed bundles.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parser(installed_layouts() if layouts is None else layouts).parse_args(arguments)
    return int(options.command(options))


def make_datalist(options: argparse.Namespace) -> int:
    """Find the cases of a folder, split them by patient and write the datalist."""
    out = Path(options.out)
    if options.seed < 0:
        raise ConfigError("--seed", "is not negative", options.seed, "give zero or a positive number")
    if out.exists() and not options.overwrite:
        raise OutputError(str(out), "the output must not exist yet", "a file", "give --overwrite or another --out")
    if options.layout in options.bundle_layouts:
        layout: BundleLayout = options.bundle_layouts[options.layout]
        return layout.make_datalist(options)
    lists = split_by_patient(_find(options), options.fractions, options.seed, options.counts)
    names = dict(zip(("source", "target", "mask"), _names(options), strict=True))
    sizes = "fractions" if options.counts is None else "counts"
    provenance = {key: getattr(options, key) for key in ("layout", "root", "seed", sizes)}
    write_datalist(lists, out, **provenance, names=names)
    for key, items in lists.items():
        print(f"{key}: {len(items)} cases of {len({item['patient'] for item in items})} patients")
    print(f"written to {out}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Check the cases of a datalist or a folder and print the findings."""
    if options.bundle is not None:
        _fill_in(options)
    lists = load_datalist(options.datalist) if options.datalist else {"training": _find(options)}
    checked = (layout.check(lists) for layout in options.bundle_layouts.values())
    findings = next((found for found in checked if found is not None), None)
    if findings is None:
        findings = check_cases(
            lists,
            reader_of(options),
            source_range=options.source_range,
            target_range=options.target_range,
            target_unclipped=options.target_unclipped,
            min_shape=options.min_shape,
        )
    if not any(finding.severity == "error" for finding in findings):  # then every file can be read
        findings += copies(lists, identify([item for items in lists.values() for item in items], reader_of(options)))
    for text, first in summed_up(findings):
        print(f"{first.severity}: {text}")
    errors = sum(finding.severity == "error" for finding in findings)
    print(f"{sum(map(len, lists.values()))} cases checked: {errors} errors, {len(findings) - errors} warnings")
    return 2 if errors else 0


def _fill_in(options: argparse.Namespace) -> None:
    """What is not given is as in the training of the bundle: names of files, windows, channels, and how files are read.

    Raises:
        ConfigError: for a folder without the config of a training.
    """
    path = Path(options.bundle, "configs", "train.yaml")
    if not path.is_file():
        raise ConfigError("--bundle", "is the folder of a bundle", f"no {path}", "correct it")
    config = read_config(path)
    settings = {"source": "data", "target": "data", "source_range": "data", "target_range": "data"}
    settings |= {"target_unclipped": "data", "channels": "reader", "resample": "reader"}
    for name, component in settings.items():
        if name in (config.get(component) or {}) and getattr(options, name) in (None, False):
            setattr(options, name, config.get_parsed_content(f"{component}::{name}"))


def _find(options: argparse.Namespace) -> list[Item]:
    if options.root is None or options.layout is None:
        raise ConfigError("check", "give --datalist, or both --root and --layout", "neither", "name the data")
    return find_cases(options.root, options.layout, *_names(options), patient_separator=options.patient_separator)


def _names(options: argparse.Namespace) -> tuple[str, str, str]:
    """Names of source, target and mask: the given ones, otherwise those of the layout."""
    source, target = DEFAULT_NAMES[options.layout]
    return (
        source if options.source is None else options.source,
        target if options.target is None else options.target,
        options.mask,
    )


def _parser(layouts: Mapping[str, BundleLayout]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common.data", description="Make datalists and check cases.")
    parser.set_defaults(bundle_layouts=layouts)
    commands = parser.add_subparsers(required=True, metavar="{make-datalist,check}")
    make = commands.add_parser("make-datalist", help="split the cases of a folder by patient and write a datalist")
    _add_folder(make, required=True, layouts=(*LAYOUTS, *layouts))
    for layout in layouts.values():
        layout.add_options(make)
    make.add_argument("--out", required=True, help="the datalist to write (JSON)")
    make.add_argument("--overwrite", action="store_true", help="replace an existing --out")
    make.add_argument("--seed", type=int, default=0, help="seed of the split")
    sizes = make.add_mutually_exclusive_group()
    three = ("TRAIN", "VAL", "TEST")
    fractions = [0.7, 0.15, 0.15]
    sizes.add_argument("--fractions", type=float, nargs=3, default=fractions, metavar=three, help="of the patients")
    sizes.add_argument("--counts", type=int, nargs=3, metavar=three, help="numbers of patients; others are not used")
    add_reader_options(make)
    make.set_defaults(command=make_datalist)
    checks = commands.add_parser("check", help="read and check every case; exit code 2 for errors")
    checks.add_argument("--datalist", help="the datalist to check, instead of --root and --layout")
    told = "folder of the bundle that is to be trained: what is not given is as in its train.yaml"
    checks.add_argument("--bundle", metavar="DIR", help=told)
    _add_folder(checks, required=False)
    window = ("LOW", "HIGH")
    several = "window of the images; repeat the option for further channels, in their order"
    checks.add_argument("--source_range", type=float, nargs=2, metavar=window, action="append", help=several)
    checks.add_argument("--target_range", type=float, nargs=2, metavar=window, help="window of the labels")
    checks.add_argument("--min_shape", type=int, nargs=3, metavar=("X", "Y", "Z"), help="smallest shape, axes RAS")
    checks.add_argument("--channels", type=int, help="channels an image must have")
    checks.add_argument("--resample", action="store_true", help="other grids will be resampled: warn, do not refuse")
    checks.add_argument("--nan_fill", type=float, help="accept NaN and Inf, replaced by this value")
    add_reader_options(checks)
    checks.set_defaults(command=check, target_unclipped=False)
    return parser


def _add_folder(parser: argparse.ArgumentParser, required: bool, layouts: Sequence[str] = LAYOUTS) -> None:
    parser.add_argument("--root", required=required, help="the folder of the cases")
    parser.add_argument("--layout", required=required, choices=list(layouts), help="how the folder is arranged")
    parser.add_argument("--source", help="name of the image's file (mr; PD in ixi); channels separated by commas")
    parser.add_argument("--target", help="name of the label's file (ct; T2 in ixi); empty for none")
    parser.add_argument("--mask", default=DEFAULT_MASK, help="name of the mask's file; empty for none")
    parser.add_argument("--patient_separator", help="the patient is the case's name before this text")


if __name__ == "__main__":
    sys.exit(main())

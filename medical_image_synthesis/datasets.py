"""``synthesize datalist`` and ``check``: cases of a folder as a datalist, and their faults before a training."""

from __future__ import annotations

import argparse
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import ConfigError, OutputError, path_option
from medical_image_synthesis.catalogue import bundle_named
from medical_image_synthesis.options import add_bundle, add_reader, reader_of

if TYPE_CHECKING:
    from common.data.datalist import Item

ROIS = "rois"
"""Layout of the lesions' bundle: patches that are cut out of volumes with masks of lesions."""
LAYOUTS = ("folders", "synthrad2023", "synthrad2025", "ixi", "ldct", "bids")
LESIONS = "lesion_dcgan_aug"
EXAMPLES = {
    "datalist": (
        "--dataset_dir DATA --patient_separator _ --out datalist.json",
        "--dataset_dir Task1/brain --layout synthrad2023 --out datalist.json",
        "--dataset_dir VOLUMES --layout rois --classes cyst,metastasis --out DATA/datalist.json",
    ),
    "check": ("mr2ct --dataset_dir DATA", "pd2t2 --datalist datalist.json"),
}


def add(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options of one of the commands."""
    command.epilog = "\n".join(["examples:", *(f"  synthesize {name} {words}" for words in EXAMPLES[name])])
    {"datalist": _add_datalist, "check": _add_check}[name](command)


def _add_datalist(command: argparse.ArgumentParser) -> None:
    add_folder(command, (*LAYOUTS, ROIS))
    command.add_argument("--out", type=path_option, required=True, help="path of the datalist (JSON)")
    command.add_argument("--overwrite", action="store_true", help="replace an existing --out")
    command.add_argument("--seed", type=int, default=0, help="seed of the split (default: %(default)s)")
    sizes = command.add_mutually_exclusive_group()
    three = ("TRAIN", "VAL", "TEST")
    fractions = [0.7, 0.15, 0.15]
    sizes.add_argument("--fractions", type=float, nargs=3, default=fractions, metavar=three, help="patient fractions")
    sizes.add_argument("--counts", type=int, nargs=3, metavar=three, help="numbers of patients; the others are unused")
    sizes.add_argument("--test_centres", metavar="A,B", help="test on whole centres; split the others")
    about = "DATA/<case>/<source>.nii.gz, or a folder of DICOM, with masks DATA/<case>/<class>.nii.gz"
    group = command.add_argument_group("layout rois", about)
    group.add_argument("--classes", help="names of the masks, separated by commas: cyst,metastasis,hemangioma")
    about = "margin on each side as a fraction of the lesion's extent (default: %(default)s)"
    group.add_argument("--margin", type=float, default=0.2, help=about)
    group.add_argument("--one_patient_per_file", action="store_true", help="every case is another patient")
    add_reader(command)
    command.set_defaults(run=datalist)


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument("--datalist", type=path_option, help="path of a datalist, instead of --dataset_dir")
    add_bundle(command, optional="what is not given is as in its train.yaml")
    add_folder(command, LAYOUTS)
    window = ("LOW", "HIGH")
    several = "window of the images; repeat the option for further channels, in their order"
    add = partial(command.add_argument, type=float, nargs=2, metavar=window)
    add("--source_range", "--source_window", action="append", help=several)  # the second name is that of a training
    add("--target_range", "--target_window", help="window of the labels")
    command.add_argument("--channels", type=int, help="number of channels of an image")
    command.add_argument("--resample", action="store_true", help="warn of differing grids instead of refusing them")
    command.add_argument("--nan_fill", type=float, help="accept NaN and Inf, replaced by this value")
    add_reader(command)
    command.set_defaults(run=check, target_unclipped=False, pictures=False)


def add_folder(command: argparse.ArgumentParser, layouts: tuple[str, ...]) -> None:
    """Add the options that name a folder of cases and its files."""
    add = command.add_argument
    add("--dataset_dir", metavar="DATA", dest="root", help="folder of the cases")
    add("--layout", default=LAYOUTS[0], choices=layouts, help="arrangement of its files (default: %(default)s)")
    add("--source", help="name of the image's file (mr; PD in ixi, T1w in bids); channels separated by commas")
    add("--target", help="name of the label's file (ct; T2 in ixi, T2w in bids); empty for none")
    add("--mask", default="mask", help="name of the mask's file; empty for none (default: %(default)s)")
    add("--patient_separator", metavar="TEXT", help="the patient is the case's name before this text")


def datalist(options: argparse.Namespace) -> int:
    """Find the cases of a folder, split them by patient and write the datalist."""
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed} is negative", "pass 0 or a positive number")
    if options.out.exists() and not options.overwrite:
        raise OutputError(f"{options.out} (from --out) exists", "add --overwrite, or choose another file")
    from common.data.centres import split_by_centre
    from common.data.datalist import split_by_patient, write_datalist

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.layout == ROIS:
        return int(bundle_named(LESIONS).module("data.command").make_datalist(options, reader_of(options)))
    if options.test_centres is None:
        lists = split_by_patient(cases_of(options), options.fractions, options.seed, options.counts)
    else:
        lists = split_by_centre(cases_of(options), options.test_centres.split(","), options.fractions, options.seed)
    names = dict(zip(("source", "target", "mask"), names_of(options), strict=True))
    sizes = next((name for name in ("counts", "test_centres") if getattr(options, name) is not None), "fractions")
    provenance = {key: getattr(options, key) for key in ("layout", "root", "seed", sizes)}
    write_datalist(lists, options.out, **provenance, names=names)
    for key, items in lists.items():
        print(f"{key}: {len(items)} cases of {len({item['patient'] for item in items})} patients")
    print(f"written to {options.out}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Check the cases of a datalist or a folder and print the findings; 2 where one is an error."""
    from common.data.checks.before_training import check_cases, grouped
    from common.data.checks.duplicates import copies
    from common.data.checks.head_size import HeadSize
    from common.data.datalist import POOLS, load_datalist
    from common.data.identity import identify
    from common.data.selection import as_target

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.images, options.masked = None, ()
    if options.bundle is not None:
        fill_in(options)
    lists = load_datalist(options.datalist) if options.datalist else {"training": cases_of(options)}
    items = [item for own in lists.values() for item in own]
    if any("class" in item for item in items):
        findings = bundle_named(LESIONS).module("data.command").check(items)
    else:
        names = ("source_range", "target_range", "target_unclipped", "images", "masked")
        weights = options.bundle.weights if options.bundle else None
        size = None if weights is None else HeadSize(weights)
        given = {name: getattr(options, name) for name in names}
        checked = {**lists, POOLS[1]: [as_target(item) for item in lists.get(POOLS[1], [])]}
        findings = check_cases(checked, reader_of(options), head_size=size, **given)
    if not any(finding.severity == "error" for finding in findings):  # then every file can be read
        findings += copies(lists, identify(items, reader_of(options)))
    for text, first in grouped(findings):
        print(f"{first.severity}: {text}")
    errors = sum(finding.severity == "error" for finding in findings)
    print(f"{len(items)} cases checked: {errors} errors, {len(findings) - errors} warnings")
    return 2 if errors else 0


def fill_in(options: argparse.Namespace) -> None:
    """What is not given is as in the training of the bundle: names, number and masks of files, windows, how it reads.

    Raises:
        ConfigError: the bundle has no config of a training.
    """
    from monai.utils import ensure_tuple

    from common.config import read_config
    from common.raw_settings import components

    path: Path = options.bundle.config("train")
    if not path.is_file():
        raise ConfigError(f"no {path}, whose settings the check takes", "name another bundle")
    config = read_config(path)
    options.images = (
        len(str(config.get_parsed_content("data::source")).split(",")) if "data::source" in config else None
    )
    masks = [each for _, each in components(config.get("preprocessing")) if each["_target_"].endswith(".HeadMaskd")]
    options.masked = [key for each in masks for key in ensure_tuple(each["keys"])]
    settings = {"source": "data", "target": "data", "source_range": "data", "target_range": "data"}
    settings |= {"target_unclipped": "data", "channels": "reader", "resample": "reader", "pictures": "reader"}
    for name, component in settings.items():
        if name in (config.get(component) or {}) and getattr(options, name) in (None, False):
            setattr(options, name, config.get_parsed_content(f"{component}::{name}"))


def cases_of(options: argparse.Namespace) -> list[Item]:
    """The cases of the folder that the options name.

    Raises:
        ConfigError: none is named.
        DataError: as :func:`common.data.layouts.data_sets.find_cases`.
    """
    from common.data.layouts.data_sets import find_cases

    if options.root is None:
        raise ConfigError("no data are named", "pass --dataset_dir DATA")
    return find_cases(options.root, options.layout, *names_of(options), patient_separator=options.patient_separator)


def names_of(options: argparse.Namespace) -> tuple[str, str, str]:
    """Names of source, target and mask: the given ones, otherwise those of the layout."""
    from common.data.layouts.data_sets import DEFAULT_NAMES

    source, target = DEFAULT_NAMES[options.layout]
    return (
        source if options.source is None else options.source,
        target if options.target is None else options.target,
        options.mask,
    )

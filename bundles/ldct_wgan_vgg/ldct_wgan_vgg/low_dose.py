"""Pairs of low-dose and full-dose CT from a folder of CT, by noise inserted into projections."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from common.data.datalist import Item
from common.data.degraded_pairs import PairFolders, require_hu, save_masks, save_volume
from common.data.layouts.data_sets import find_cases
from common.errors import Finding, naming_case
from common.io import VolumeReader
from common.simulation.corruptions.low_dose import SIMULATED, LowDose
from common.simulation.corruptions.projection import MU_WATER
from common.simulation.degraded_cases import corrupted, random_of, require_seed

LOW, FULL = "ldct", "ndct"
PAIRS = PairFolders("low_dose.json", (f"{LOW}.nii.gz", f"{FULL}.nii.gz"))
SETTINGS = ("dose", "photons", "electronic_noise", "views", "kernel", "bow_tie", "noiseless")


def write_pair(item: Item, folder: Path, low_dose: LowDose, seed: int, reader: VolumeReader) -> None:
    """Write one case as ``ldct.nii.gz`` and ``ndct.nii.gz`` in HU (float32), its masks, and ``low_dose.json``.

    Affines are kept; of the headers nothing but the grid is, since others may hold a name.

    Args:
        item: with ``case``, ``image`` and any of the masks.
        folder: of the case, which exists.
        low_dose: inserts the noise.
        seed: the noise of a case depends on it and on the case's name.
        reader: of the files.

    Raises:
        DataError: a volume cannot be read, is no CT in HU, or has pixels that are not square.
        OutputError: a file cannot be written.
    """
    case = str(item["case"])
    scan = reader.read(item["image"], case)
    require_hu(scan.values, scan.affine, partial(Finding, case, Path(item["image"]).name))
    with naming_case(case):
        low = corrupted(low_dose, scan.values, scan.affine, random_of(case, seed))
    simulated = SIMULATED.format(low_dose)
    save_volume(item["image"], scan.affine, low, folder / f"{LOW}.nii.gz", simulated)
    save_volume(item["image"], scan.affine, scan.values, folder / f"{FULL}.nii.gz", "CT as given, in HU")
    save_masks(item, folder, reader)
    settings = {name: getattr(low_dose, name) for name in SETTINGS}
    about = {"description": simulated, "case": case, "seed": seed, **settings, "mu_water_per_mm": MU_WATER}
    PAIRS.write_record(folder, about)


def write_pairs(options: argparse.Namespace, reader: VolumeReader) -> int:
    """Write all cases by the options of ``synthesize simulate low-dose``, and return their number.

    Raises:
        ConfigError: a setting is out of its range.
        DataError: no cases, or a volume cannot be read or is no CT in HU.
        OutputError: a folder exists already, or a file cannot be written.
    """
    require_seed(options.seed)
    low_dose = LowDose(**{name: getattr(options, name) for name in SETTINGS})
    items = find_cases(options.dataset_dir, "folders", source=options.ct, target=None)
    write = partial(write_pair, low_dose=low_dose, seed=options.seed, reader=reader)
    PAIRS.write(items, options.out, write, options.overwrite, "low dose")
    return len(items)

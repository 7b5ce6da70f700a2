"""Pairs of low-dose and full-dose CT from a folder of CT, by noise inserted into projections."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from common.data.datalist import Item
from common.data.degraded_pairs import PairFolders, require_hu, save_masks, save_volume
from common.data.layouts.data_sets import find_cases
from common.errors import ConfigError, naming_case
from common.grids import in_ras, ras_spacing
from common.io import VolumeReader
from common.simulation.corruptions.low_dose import LowDose
from common.simulation.corruptions.projection import MU_WATER

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
    require_hu(item, scan)
    spacing = ras_spacing(scan.affine)
    rng = np.random.default_rng([seed, *case.encode()])
    with naming_case(case):
        low = in_ras(partial(low_dose, spacing=spacing, rng=rng), scan.values, scan.affine)
    simulated = f"SIMULATED CT at {low_dose.dose:g} of its dose: inserted noise, not a scan"
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
    if options.seed < 0:
        raise ConfigError(f"--seed is {options.seed}, below 0", "give 0 or a positive number")
    low_dose = LowDose(**{name: getattr(options, name) for name in SETTINGS})
    items = find_cases(options.dataset_dir, "folders", source=options.ct, target=None)
    write = partial(write_pair, low_dose=low_dose, seed=options.seed, reader=reader)
    PAIRS.write(items, options.out, write, options.overwrite, "low dose")
    return len(items)

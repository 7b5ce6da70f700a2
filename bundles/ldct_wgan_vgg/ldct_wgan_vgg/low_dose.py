"""Pairs of low-dose and full-dose CT from a folder of CT, by noise inserted into projections.

``python -m ldct_wgan_vgg.low_dose --dataset_dir DATA --out PAIRS --dose 0.25``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common.data.checks.volumes import Volume, plausible_hu
from common.data.datalist import Item
from common.data.degraded_pairs import PairFolders, save_masks, save_volume
from common.data.layouts.folders import find_cases
from common.errors import ConfigError, Finding, VolumeError, exit_code_of_mistakes, of_case, path_option
from common.files import write_whole_folder
from common.grids import in_ras, ras_spacing
from common.io import Scan, VolumeReader
from common.io.options import add_reader_options, reader_of
from ldct_wgan_vgg.dose import LowDose
from ldct_wgan_vgg.projection import KERNELS, MU_WATER

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
    _require_hu(item, case, scan)
    spacing = ras_spacing(scan.affine)
    rng = np.random.default_rng([seed, *case.encode()])
    with of_case(case):
        low = in_ras(partial(low_dose, spacing=spacing, rng=rng), scan.values, scan.affine)
    simulated = f"SIMULATED CT at {low_dose.dose:g} of its dose: inserted noise, not a scan"
    save_volume(item["image"], scan.affine, low, folder / f"{LOW}.nii.gz", simulated)
    save_volume(item["image"], scan.affine, scan.values, folder / f"{FULL}.nii.gz", "CT as given, in HU")
    save_masks(item, folder, reader)
    settings = {name: getattr(low_dose, name) for name in SETTINGS}
    about = {"description": simulated, "case": case, "seed": seed, **settings, "mu_water_per_mm": MU_WATER}
    PAIRS.write_record(folder, about)


def _require_hu(item: Item, case: str, scan: Scan) -> None:
    volume = Volume(partial(Finding, case, Path(item["image"]).name), scan.values, scan.affine)
    for finding in plausible_hu(volume, "HU"):
        raise VolumeError(Finding(case, finding.file, finding.rule, finding.value, "convert it to HU, or name others"))


@exit_code_of_mistakes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or that of the error whose line ends stderr."""
    options = _parser().parse_args(arguments)
    if options.seed < 0:
        raise ConfigError("--seed", "is not negative", options.seed, "give zero or a positive number")
    low_dose = LowDose(**{name: getattr(options, name) for name in SETTINGS})
    items = find_cases(options.dataset_dir, "folders", source=options.ct, target=None)
    folders = [options.out / str(item["case"]) for item in items]
    PAIRS.require_free(folders, options.overwrite)
    reader = reader_of(options)
    for item, folder in zip(tqdm(items, desc="low dose", unit="case", disable=None), folders, strict=True):
        write: Any = partial(write_pair, item, low_dose=low_dose, seed=options.seed, reader=reader)
        write_whole_folder(folder, write, PAIRS.is_own)
    print(f"{len(items)} pairs at {low_dose.dose:g} of the dose written to {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m ldct_wgan_vgg.low_dose", description=about)
    add = parser.add_argument
    add("--dataset_dir", type=path_option, required=True, help="folder of the cases, <case>/<ct>.nii.gz or DICOM")
    add("--out", type=path_option, required=True, help=f"folder for <case>/{LOW}.nii.gz and {FULL}.nii.gz")
    add("--ct", default="ct", help="name of the CT's file or folder of slices (default: %(default)s)")
    add("--dose", type=float, required=True, help="fraction of the full dose, above 0 to 1, such as 0.25")
    add("--photons", type=float, default=1.0e6, help="of a full-dose ray without an object (default: %(default)s)")
    add("--electronic_noise", type=float, default=3.0, help="standard deviation in photons (default: %(default)s)")
    add("--views", type=int, default=360, help="in 180 degrees; 720 for 512 x 512 pixels (default: %(default)s)")
    add("--kernel", choices=list(KERNELS), default="soft", help="of the noise (default: %(default)s)")
    add("--bow_tie", type=float, metavar="MM", help="a bow-tie filter for water of this diameter (default: none)")
    add("--noiseless", action="store_true", help="the CT have no noise of their own, as phantoms")
    add("--seed", type=int, default=0, help="of the noise, with the name of the case (default: %(default)s)")
    add("--overwrite", action="store_true", help="replace pairs that exist")
    add_reader_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())

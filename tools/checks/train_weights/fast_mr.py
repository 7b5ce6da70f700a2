"""K-space for ``mri_dagan`` from MR of three patients: each in turn is evaluated, the others are trained on, or all.

Whole volumes of all contrasts are trained on, at several accelerations. Of an evaluated patient there is the FLAIR, the
slices with most lesion, at four and eight times.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from mri_dagan.degrade import write_pair
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from common.files import write_text
from common.io import VolumeReader
from common.simulation.corruptions.undersampling import Undersampled
from tools.checks.train_weights.cases import write_case

PATIENTS = ("patient07", "patient19", "patient26")
CONTRASTS = ("t1", "t2", "flair")
ALL = "all"
"""Name of the datalist that trains on each patient and evaluates none: for weights that are shipped."""
ACCELERATIONS = {"training": (4, 4, 6, 8, 8), "test": (4, 8)}
NOISE = 0.005
"""Over the brightness of the volume."""
SLICES = 16
"""Of an evaluated volume."""


def write_cases(data: Path, out: Path) -> None:
    """Write a case for each volume and acceleration that ``out`` lacks, and ``<patient>.json`` for each, and ALL."""
    out.mkdir(parents=True, exist_ok=True)
    folds = (*PATIENTS, ALL)
    lists: dict[str, dict[str, list[dict[str, str]]]] = {
        fold: {"training": [], "validation": [], "test": []} for fold in folds
    }
    write = partial(write_pair, kind="undersample", reader=VolumeReader(), kspace=True)
    for patient in PATIENTS:
        lesion = nib.nifti1.load(data / patient / "lesions.nii.gz")
        for contrast in CONTRASTS:
            mr = nib.nifti1.load(data / patient / f"{contrast}.nii.gz")
            volume = Nifti1Image(np.maximum(mr.get_fdata(dtype=np.float32), 0), mr.affine)  # interpolated below 0
            for part in ("training", "test") if contrast == "flair" else ("training",):
                for seed, acceleration in enumerate(ACCELERATIONS[part]):
                    case = f"{patient}_{contrast}_{part}_{acceleration}_{seed}"
                    rows = slice(None) if part == "training" else most_lesion(np.asarray(lesion.dataobj) > 0, SLICES)
                    images = {"image": volume.slicer[:, :, rows], "lesion": lesion.slicer[:, :, rows]}
                    way = Undersampled("cartesian", acceleration, noise=NOISE)
                    write_case(out / case, images, partial(write, degradation=way, seed=seed))
                    item = {"case": case, "image": f"{case}/kspace.h5", "label": f"{case}/mr.nii.gz"}
                    item |= {"lesion": f"{case}/lesion.nii.gz"} if part == "test" else {}
                    for fold in (each for each in folds if (each == patient) is (part == "test")):
                        lists[fold][part].append(item)
    for fold, sections in lists.items():
        write_text(out / f"{fold}.json", json.dumps(sections, indent=1) + "\n")


def most_lesion(lesion: NDArray[np.bool_], slices: int) -> slice:
    """The axial slices in a row, of a mask (X, Y, Z), that hold most of it."""
    voxels = np.convolve(lesion.sum((0, 1)), np.ones(slices, int), "valid")
    first = int(voxels.argmax())
    return slice(first, first + slices)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.checks.train_weights.fast_mr", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the patients")
    parser.add_argument("out", type=Path, help="folder of the cases and the datalists")
    given = parser.parse_args()
    write_cases(given.data, given.out)

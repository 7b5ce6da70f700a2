"""K-space for ``mri_dagan`` from MR of three patients: each in turn is evaluated, the others are trained on, or all.

Whole volumes of all contrasts are trained on, at several accelerations. Of an evaluated patient there is the FLAIR, the
slices with most lesion, at four and eight times. Their skulls are stripped: slabs of simulated whole heads are trained
on with them, lest a network forgets what lies outside the brain.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from mri_dagan.degrade import write_pair
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray

from common.files import write_text
from common.io import VolumeReader
from common.seeds import derive
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.label_heads import heads_of
from common.simulation.mr_contrasts import any_contrast
from common.simulation.simulate import Heads, MrPair
from tools.checks.train_weights.written_case import write_case

PATIENTS = ("patient07", "patient19", "patient26")
CONTRASTS = ("t1", "t2", "flair")
HELD_OUT = "held_out"
"""Name of the datalist of simulated heads of other people, on which weights are calibrated."""
ALL = "all"
"""Name of the datalist that trains on each patient and evaluates none: for weights that are shipped."""
ACCELERATIONS = {"training": (4, 4, 6, 8, 8), "test": (4, 8)}
NOISE = 0.005
"""Over the brightness of the volume."""
SLICES = 16
"""Of an evaluated volume."""
HEADS, CALIBRATION, SLAB = 30, 24, 24
"""Simulated heads that are trained on, others for the calibration, and slices of each."""
SIMULATED = (3.0, 9.0)
"""Their range of accelerations."""


def write_cases(
    data: Path, out: Path, label_maps: Path | None, heads: int = HEADS, calibration: int = CALIBRATION
) -> None:
    """Write the cases that ``out`` lacks, and datalists ``<patient>.json`` for each, ALL and HELD_OUT.

    Args:
        data: folder of the patients.
        out: folder of the cases.
        label_maps: that heads are simulated of; None for the average head.
        heads: number of simulated heads that are trained on.
        calibration: number of others.
    """
    out.mkdir(parents=True, exist_ok=True)
    folds = (*PATIENTS, ALL)
    lists: dict[str, dict[str, list[dict[str, str]]]] = {
        fold: {"training": [], "validation": [], "test": []} for fold in folds
    }
    write = partial(write_pair, reader=VolumeReader(), kspace=True)
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
                    item = item_of(case) | ({"lesion": f"{case}/lesion.nii.gz"} if part == "test" else {})
                    for fold in (each for each in folds if (each == patient) is (part == "test")):
                        lists[fold][part].append(item)
    settings: dict[str, Any] = {"defaced_probability": 0, "spacings_mm": [1.0, 1.2, 1.4]}
    some, half = (heads_of(label_maps, stripped_probability=stripped, **settings) for stripped in (0.3, 0.5))
    for sections in lists.values():
        sections["training"] += _simulated(out, "head", some, heads, seed=0)
    lists[HELD_OUT] = {"test": _simulated(out, HELD_OUT, half.held_out(), calibration, seed=1)}
    for name, sections in lists.items():
        write_text(out / f"{name}.json", json.dumps(sections, indent=1) + "\n")


def _simulated(out: Path, name: str, heads: Heads, number: int, seed: int) -> list[dict[str, str]]:
    """The cases of a number of simulated heads, written where ``out`` lacks them."""
    write = partial(write_pair, reader=VolumeReader(), kspace=True)
    cases = [f"{name}_{each:03}" for each in range(number)]
    for each, case in enumerate(cases):
        rng = np.random.default_rng(derive(seed, each))
        way = Undersampled("cartesian", rng.uniform(*SIMULATED), noise=NOISE)
        if not (out / case).exists():
            write_case(out / case, {"image": slab_of_a_head(heads, rng)}, partial(write, degradation=way, seed=each))
    return [item_of(case) for case in cases]


def item_of(case: str) -> dict[str, str]:
    """A case of a datalist next to the folders of the cases."""
    return {"case": case, "image": f"{case}/kspace.h5", "label": f"{case}/mr.nii.gz"}


def slab_of_a_head(heads: Heads, rng: np.random.Generator) -> Nifti1Image:
    """Axial slices in a row of the MR of a simulated head, of any contrast."""
    scan = MrPair(any_contrast(), any_contrast(), heads=heads)(int(rng.integers(2**31)))
    volume, spacing = scan["image"], [float(side) for side in scan["spacing"]]
    (filled,) = np.nonzero(scan["mask"].any((0, 1)))
    first = int(rng.integers(filled[0], max(filled[0] + 1, filled[-1] + 2 - SLAB)))
    return Nifti1Image(volume[:, :, first : first + SLAB], np.diag([*spacing, 1]))


def most_lesion(lesion: NDArray[np.bool_], slices: int) -> slice:
    """The axial slices in a row, of a mask (X, Y, Z), that hold most of it."""
    voxels = np.convolve(lesion.sum((0, 1)), np.ones(slices, int), "valid")
    first = int(voxels.argmax())
    return slice(first, first + slices)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.checks.train_weights.fast_mr", description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the patients")
    parser.add_argument("out", type=Path, help="folder of the cases and the datalists")
    parser.add_argument("label_maps", type=Path, help="folder of label maps of heads")
    given = parser.parse_args()
    write_cases(given.data, given.out, given.label_maps)

"""Fast MR from real MR by weights and by compressed sensing, which have the same k-space.

Compressed sensing (`mri_dagan.classical.tv_reconstruction`) takes seconds a slice, so that the slices with most lesion
of each patient are judged. By default the weights are those that `mri_dagan` was pretrained to on simulated heads; no
patient was seen by those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from mri_dagan.classical import tv_reconstruction
from mri_dagan.kspace_files import read_kspace
from numpy.typing import NDArray

from common.errors import path_option
from common.metrics import lesion_scores, psnr
from common.transforms import head_mask
from tools.real.fast_mr import BUNDLE, LESION, PATIENTS, TASKS, WEIGHTS, pairs, scans
from tools.real.rows import DATA
from tools.real.trainings import run
from tools.repository import ROOT

PEAK_PERCENTILE = 99.5
"""Of the truth in the head: the range of PSNR, as in the bundle's evaluation."""


def inferred(weights: Path, made: Path, out: Path) -> dict[str, Path]:
    """What the weights make of the k-space of every patient, consistent with the measured samples."""
    items = [{"case": name, "image": str(made / name / TASKS["4x"].file)} for name in PATIENTS]
    out.mkdir(parents=True, exist_ok=True)
    (out / "cases.json").write_text(json.dumps({"test": items}))
    given = {"datalist": out / "cases.json", "weights": weights, "predictions_dir": out, "output_dtype": "float32"}
    run("inference", ["inference"], BUNDLE, **given, overwrite="true")
    return {name: next(out.glob(f"{name}_*.nii.gz")) for name in PATIENTS}


def judged(case: Path, image: Path, slices: int) -> dict[str, dict[str, float]]:
    """PSNR and contrast of lesions of zero-filled image, weights and compressed sensing in the slices with most lesion.

    Args:
        case: folder of the pair.
        image: of the weights.
        slices: how many, axial.
    """
    truth, lesion, made = (_volume(path) for path in (case / "mr.nii.gz", case / LESION, image))
    scan = read_kspace(case / TASKS["4x"].file, case.name)
    chosen = np.argsort((scan.slices_of(lesion) > 0).sum((1, 2)))[-slices:]
    shown = scan.reconstructed(lambda _, mask: np.ones(mask.shape), chosen) > 0
    inside = shown & (head_mask(truth, None, axial=2, case=case.name) > 0)
    peak = float(np.percentile(truth[inside], PEAK_PERCENTILE))
    volumes = {
        "zero-filled": scan.zero_filled(),
        "weights": made,
        "compressed sensing": scan.reconstructed(tv_reconstruction, chosen),
    }
    affine = nib.nifti1.load(case / "mr.nii.gz").affine
    return {
        name: {
            "psnr": psnr(volume, truth, inside, (0.0, peak)),
            **lesion_scores(volume, truth, inside, np.where(inside, lesion, 0), affine),
        }
        for name, volume in volumes.items()
    }


def _volume(path: Path) -> NDArray[np.float32]:
    return np.asarray(nib.nifti1.load(path).dataobj, np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pairs unless they are there, infer, reconstruct, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.real.sensing", description=__doc__)
    parser.add_argument("--data", type=path_option, default=DATA, help="folder of the scans (%(default)s)")
    parser.add_argument("--out", type=path_option, default=ROOT / "build" / "fast-mr", help="(%(default)s)")
    parser.add_argument("--weights", type=path_option, default=WEIGHTS, help="(%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=("4x", "8x"), default=["4x", "8x"])
    parser.add_argument("--slices", type=int, default=12, help="of each patient (%(default)s)")
    given = parser.parse_args(arguments)
    if not (given.data / "open_ms").is_dir() or not given.weights.is_file():
        missing = given.weights if (given.data / "open_ms").is_dir() else given.data / "open_ms"
        print(f"compressed sensing: skipped, since there is no {missing}")
        return 0
    cases, rows = scans(given.data, given.out / "scans"), {}
    for task in given.tasks:
        made = pairs(TASKS[task], cases, given.out / task / "pairs")
        images = inferred(given.weights, made, given.out / task / "sensing")
        for name in PATIENTS:
            for method, scores in judged(made / name, images[name], given.slices).items():
                rows[task, name, method] = scores
    print(pd.DataFrame(rows).T.unstack().to_string(float_format="{:.2f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())

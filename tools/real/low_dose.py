"""Low dose from real CT: networks fitted on one scan at three doses, judged on the others beside classical filters.

Two CT of trunks and one of a head, each at 25, 10 and 5 % of its dose by noise inserted into projections: the noise is
simulated, the anatomy and the noise of the full dose are real. Every network gets the same processor time. Three scans
are too few for statistics: the intervals are those of the six cases, which are two people. Of a tested scan the middle
slices are judged, since RED-CNN takes half a minute of a CPU core for a slice of 512 x 611 pixels.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import pandas as pd
from ldct_wgan_vgg import low_dose
from scipy import stats

from common.errors import path_option
from common.evaluation.evaluation import COPY
from tools import compare
from tools.real.rows import DATA
from tools.repository import ROOT

BUNDLE = "ldct_wgan_vgg"
DOSES = (0.25, 0.1, 0.05)
HEAD = Path("dicom", "ct_head_gantry_tilt.zip")
TRUNKS = ("example_ct", "cta_thorax")
FITTED_ON = TRUNKS[0]
OPTIONS = ("--photons", "1.0e5", "--resample_tilt", "--overwrite")
"""Of the pairs: photons at which the trunks have about their own noise; the head was scanned with a tilted gantry."""


def scans(data: Path, folder: Path) -> Path:
    """The scans as a folder of cases, ``<case>/ct.nii.gz`` or ``<case>/ct`` of DICOM slices."""
    for name in TRUNKS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "totalsegmentator" / f"{name}.nii.gz", folder / name / "ct.nii.gz")
    with zipfile.ZipFile(data / HEAD) as archive:
        archive.extractall(folder / HEAD.stem / "ct")
    return folder


def middle(given: Path, written: Path, slices: int) -> str:
    """The middle axial slices of a volume in a file of its own; its path."""
    image = nib.as_closest_canonical(nib.nifti1.Nifti1Image.from_filename(given))
    first = max(0, (image.shape[2] - slices) // 2)
    written.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image.slicer[:, :, first : first + slices], written)
    return str(written)


def pairs(data: Path, folder: Path, slices: int) -> Path:
    """A datalist of every scan at every dose: the first scan to train on, the others to test in their middle slices."""
    listed = folder / "pairs.json"
    if listed.is_file():
        return listed
    given = scans(data, folder / "scans")
    lists: dict[str, list[dict[str, str]]] = {"training": [], "test": []}
    for dose in DOSES:
        out = folder / f"dose_{dose:g}"
        if code := low_dose.main(["--dataset_dir", str(given), "--out", str(out), "--dose", str(dose), *OPTIONS]):
            raise SystemExit(code)
        for case in sorted(out.iterdir()):
            item = {"case": f"{case.name}_{dose:g}", "patient": case.name}
            files = {"image": case / "ldct.nii.gz", "label": case / "ndct.nii.gz"}
            if case.name == FITTED_ON:
                lists["training"].append(item | {key: str(path) for key, path in files.items()})
            else:
                cut = folder / "judged" / item["case"]
                lists["test"].append(item | {key: middle(path, cut / path.name, slices) for key, path in files.items()})
    listed.write_text(json.dumps(lists, indent=4))
    return listed


def differences(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric of every method less that of the input, by case: mean and 95 % interval of Student's t."""
    by_case = rows.pivot(index="case", columns="method", values=metric)
    lines = {}
    for name in by_case.columns.drop(COPY):
        found = (by_case[name] - by_case[COPY]).dropna()
        low, high = stats.ttest_1samp(found, 0).confidence_interval(0.95)
        lines[name] = {metric: found.mean(), "low": low, "high": high}
    return pd.DataFrame(lines).T


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pairs, train and evaluate every method, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.real.low_dose", description=__doc__)
    parser.add_argument("--data", type=path_option, default=DATA, help="folder of the scans (%(default)s)")
    parser.add_argument("--out", type=path_option, default=ROOT / "build" / "low-dose", help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="of processor time for each training (%(default)s)")
    parser.add_argument("--slices", type=int, default=12, help="of each tested scan that are judged (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args(arguments)
    if not (given.data / HEAD).is_file():
        print(f"low dose: skipped, since there are no scans at {given.data}")
        return 0
    listed = pairs(given.data, given.out, given.slices)
    seeds = [str(seed) for seed in given.seeds]
    words = [BUNDLE, "--minutes", str(given.minutes), "--out", str(given.out), "--seeds", *seeds]
    if code := compare.main([*words, "--options", f"--datalist {listed}"]):
        return code
    files = [given.out / BUNDLE / f"seed_{seed}" / "evaluation" / "metrics.csv" for seed in seeds]
    rows = (
        pd.concat([pd.read_csv(file) for file in files])
        .groupby(["case", "method"], as_index=False)
        .mean(numeric_only=True)
    )
    for metric in ("mae", "psnr", "ssim"):
        print(f"\n{metric} less that of the input\n{differences(rows, metric).to_string(float_format='{:.3f}'.format)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

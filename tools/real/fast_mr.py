"""Fast and thick MR from real MR: networks fitted on two patients, judged on the third, beside classical methods.

FLAIR of three patients with multiple sclerosis, whose magnitudes and lesions are real; k-space, phase and thick slices
are simulated from them (``synthesize simulate``), with other sampled lines for each patient. Every patient is
left out once, and every network gets the same processor time. Sources are files of k-space, so that networks keep what
was measured; the filters and the copy are of zero-filled images. Three patients are too few for statistics: the
intervals only say so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from mri_dagan import degrade

from common.errors import path_option
from common.weights.info import PRETRAINED_NAME, sidecar
from tools import compare
from tools.real.low_dose import differences
from tools.real.rows import DATA
from tools.repository import ROOT

BUNDLE = "mri_dagan"
PATIENTS = ("patient07", "patient19", "patient26")
CONTRAST = "flair"
LESION = "lesion.nii.gz"
WEIGHTS = ROOT / "bundles" / BUNDLE / "models" / PRETRAINED_NAME
METRICS = ("nmae", "psnr", "ssim", "contrast_recovery", "false_structures", "missed_structures")


class Task(NamedTuple):
    """A degradation as words of its command, its file, the overlay that restores it, and options of the bundle."""

    degradation: tuple[str, ...]
    file: str
    overlay: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    pretrained: bool = False


WHOLE = ("--depth", "4", "--pad_size", "224", "--crop_size", "224", "--samples_per_epoch", "80")
"""Slices of 182 x 218 pixels, which the demo would crop, by its depth: aliasing is global. Ten steps an epoch."""
UNDERSAMPLED = ("undersample", "--noise", "0.005", "--kspace")
TASKS = {
    "4x": Task((*UNDERSAMPLED, "--acceleration", "4"), "kspace.h5", options=WHOLE, pretrained=True),
    "8x": Task((*UNDERSAMPLED, "--acceleration", "8"), "kspace.h5", options=WHOLE, pretrained=True),
    "thick": Task(("thicken", "--thickness", "5"), "thick.nii.gz", ("--task", "super_resolution")),
}


def scans(data: Path, folder: Path) -> Path:
    """The patients' images and lesions as a folder of cases."""
    for name in PATIENTS:
        given, own = data / "open_ms" / name, folder / name
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy(given / f"{CONTRAST}.nii.gz", own)
        shutil.copy(given / "lesions.nii.gz", own / LESION)
    return folder


def pairs(task: Task, given: Path, folder: Path) -> Path:
    """The pairs of a task, made unless they are there."""
    if not folder.is_dir():
        words = ["--dataset_dir", str(given), "--mr", CONTRAST, "--out", str(folder)]
        if code := degrade.main([*task.degradation, *words]):
            raise SystemExit(code)
    return folder


def fold(task: Task, made: Path, held_out: str, listed: Path) -> Path:
    """A datalist of the other patients to train on, and of one to test."""
    lists: dict[str, list[dict[str, str]]] = {"training": [], "test": []}
    for name in PATIENTS:
        own = {"image": task.file, "label": "mr.nii.gz", "lesion": LESION}
        item = {"case": name, **{key: str(made / name / file) for key, file in own.items()}}
        lists["test" if name == held_out else "training"].append(item)
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(json.dumps(lists, indent=4))
    return listed


def simulated(weights: Path, run: Path) -> None:
    """Weights of simulated heads as a variant of a run, so that its evaluation has a row of them."""
    models = run / "variants" / "simulated" / "models"
    models.mkdir(parents=True, exist_ok=True)
    for source, name in ((weights, "model.pt"), (sidecar(weights), "model.json")):
        shutil.copy(source, models / name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pairs, train and evaluate every method for every patient, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tools.real.fast_mr", description=__doc__)
    parser.add_argument("--data", type=path_option, default=DATA, help="folder of the scans (%(default)s)")
    parser.add_argument("--out", type=path_option, default=ROOT / "build" / "fast-mr", help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=5, help="of processor time for each training (%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="(default: all)")
    parser.add_argument("--rows", nargs="+", default=[], help="of tools.compare (default: all that the bundle has)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args(arguments)
    if not (given.data / "open_ms").is_dir():
        print(f"fast MR: skipped, since there are no scans at {given.data}")
        return 0
    cases = scans(given.data, given.out / "scans")
    seeds = [str(seed) for seed in given.seeds]
    for name in given.tasks:
        task = TASKS[name]
        made = pairs(task, cases, given.out / name / "pairs")
        files: list[Path] = []
        for held_out in PATIENTS:
            out = given.out / name / held_out
            listed = fold(task, made, held_out, out / "cases.json")
            words = [BUNDLE, "--minutes", str(given.minutes), "--out", str(out), "--seeds", *seeds]
            options = " ".join(["--datalist", str(listed), *task.options])
            rows, runs = given.rows or compare.rows_of(BUNDLE), [out / BUNDLE / f"seed_{seed}" for seed in seeds]
            if task.pretrained and WEIGHTS.is_file():
                rows = [*rows, "fine_tuned"]
                for run in runs:
                    simulated(WEIGHTS, run)
            if code := compare.main([*words, *task.overlay, "--rows", *rows, "--options", options]):
                return code
            files += [run / "evaluation" / "metrics.csv" for run in runs]
        rows = pd.concat([pd.read_csv(file) for file in files])
        means = rows.groupby(["case", "method"], as_index=False).mean(numeric_only=True)
        for metric in METRICS:
            if metric in means:
                shown = differences(means, metric).to_string(float_format="{:.4g}".format)
                copied = means.loc[means["method"] == "copy_input", metric].mean()
                print(f"\n{name}: {metric} less that of the input, which has {copied:.4g}\n{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Real scans through the whole path: T1 to FLAIR of MS patients (Lesjak et al. 2017), on the grid of the patient."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCANS = ROOT.parent / "shared" / "data" / "open_ms"
CONFIGS = ROOT / "bundles" / "mr2ct_pix2pix" / "configs"
SPLIT = {"training": "patient19", "validation": "patient26", "test": "patient07"}
MEDIAN = 100
"""Scans of MR have no unit: each is scaled so that this is the median of its brain."""
SETTINGS = {"source_window": [0, 180], "target_window": [0, 160], "head_threshold": 5, "spacing": [2, 2, 2]}
LEARNING = {"max_epochs": 15, "constant_epochs": 8, "decay_epochs": 7, "val_interval": 5}

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not SCANS.is_dir(), reason=f"no scans at {SCANS}"),
]


def run(run_id, configs, **settings):
    files = "[" + ",".join(f"'{CONFIGS / name}.yaml'" for name in configs) + "]"
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", run_id, "--config_file", files, *words]
    own = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def scaled(patient, folder):
    """Write T1 and FLAIR of a patient as ``folder/<patient>/<name>.nii.gz``, on their own grid, and list them."""
    place = folder / patient
    place.mkdir()
    scans = {name: nib.load(SCANS / patient / f"{name}.nii.gz") for name in ("t1", "flair")}
    brain = scans["flair"].get_fdata() > 5  # the scans are skull-stripped
    for name, scan in scans.items():
        values = scan.get_fdata()
        values = (values * MEDIAN / np.median(values[brain])).astype(np.float32)
        nib.save(nib.Nifti1Image(values, scan.affine), place / f"{name}.nii.gz")
    return {"case": patient, "image": str(place / "t1.nii.gz"), "label": str(place / "flair.nii.gz")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trained on one patient, validated on another, evaluated and inferred on a third."""
    root = tmp_path_factory.mktemp("real")
    lists = {section: [scaled(patient, root)] for section, patient in SPLIT.items()}
    (root / "datalist.json").write_text(json.dumps(lists))
    data = {"datalist": root / "datalist.json", "output_dir": root / "out", **SETTINGS}
    run("training", ["train", "demo"], **data, **LEARNING)
    run("evaluating", ["train", "demo", "evaluate"], value_range=SETTINGS["target_window"], **data)
    run("inference", ["inference", "demo"], **data)
    return root / "out"


def test_better_than_copying_the_t1(trained):
    summary = json.loads((trained / "evaluation" / "summary.json").read_text())
    assert summary["model"]["mae"]["n"] == 1
    assert summary["model"]["mae"]["mean"] < 0.95 * summary["copy_input"]["mae"]["mean"]
    assert summary["model"]["ms_ssim"]["mean"] > 1.5 * summary["copy_input"]["ms_ssim"]["mean"]


def test_the_flair_lies_where_the_t1_lay(trained):
    source = nib.load(SCANS / SPLIT["test"] / "t1.nii.gz")
    truth = nib.load(SCANS / SPLIT["test"] / "flair.nii.gz").get_fdata()
    made = nib.load(next((trained / "predictions").glob("*.nii.gz")))
    assert made.shape == source.shape
    assert np.array_equal(made.affine, source.affine)
    assert nib.aff2axcodes(made.affine) == ("L", "A", "S")
    values = made.get_fdata()
    brain = truth > 5
    flipped = np.corrcoef(values[::-1][brain], truth[brain])[0, 1]
    assert np.corrcoef(values[brain], truth[brain])[0, 1] > max(flipped, 0.3)
    assert values[brain].mean() > 5 * values[~brain].mean()

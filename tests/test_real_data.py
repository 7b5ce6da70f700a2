"""Real scans through the whole path: T1 to FLAIR of MS patients (Lesjak et al. 2017), on the grid of the patient."""

from __future__ import annotations

import json
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCANS = ROOT.parent / "shared" / "data" / "open_ms"
BUNDLE = "mr2ct_pix2pix"
TRAINING, HELD_OUT = ("patient19", "patient26"), "patient07"
SETTINGS = {
    "source_window": [0, 450], "source_percentiles": "null", "target_window": [0, 150], "head_threshold": 5,
    "spacing": [2, 2, 2], "output::modality": "MR", "output::unit": "a.u.", "output::suffix": "synthetic_flair",
}  # fmt: skip
LEARNING = {"max_epochs": 10, "constant_epochs": 5, "decay_epochs": 5}

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.longest,
    pytest.mark.skipif(not SCANS.is_dir(), reason=f"no scans at {SCANS}"),
]


def run(run_id, configs, bundle=BUNDLE, **settings):
    folder = ROOT / "bundles" / bundle / "configs"
    files = "[" + ",".join(f"'{folder / name}.yaml'" for name in configs) + "]"
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    done = in_process.run("monai.bundle", "run", run_id, "--config_file", files, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def item(patient):
    return {
        "case": patient,
        "image": str(SCANS / patient / "t1.nii.gz"),
        "label": str(SCANS / patient / "flair.nii.gz"),
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trained on two patients by the bundle's own commands, nothing chosen by the third; evaluated on it."""
    root = tmp_path_factory.mktemp("real")
    lists = {"training": [item(patient) for patient in TRAINING], "test": [item(HELD_OUT)]}
    (root / "datalist.json").write_text(json.dumps(lists))
    data = {"datalist": root / "datalist.json", "output_dir": root / "out", **SETTINGS}
    run("training", ["train", "demo"], **data, **LEARNING)
    run("evaluating", ["train", "evaluate"], value_range=SETTINGS["target_window"], **data)
    run("inference", ["inference"], **data)
    return root / "out"


def test_better_than_a_line_of_the_t1(trained):
    summary = json.loads((trained / "evaluation" / "summary.json").read_text())
    assert summary["model"]["mae"]["n"] == 1
    assert summary["model"]["mae"]["mean"] < summary["linear_fit"]["mae"]["mean"]
    assert summary["model"]["ssim"]["mean"] > summary["linear_fit"]["ssim"]["mean"]


def test_the_flair_lies_where_the_t1_lay(trained):
    source = nib.load(SCANS / HELD_OUT / "t1.nii.gz")
    truth = nib.load(SCANS / HELD_OUT / "flair.nii.gz").get_fdata()
    made = nib.load(next((trained / "predictions").glob("*.nii.gz")))
    assert made.shape == source.shape
    assert np.array_equal(made.affine, source.affine)
    assert nib.aff2axcodes(made.affine) == ("L", "A", "S")
    values = made.get_fdata()
    brain = truth > 5
    flipped = np.corrcoef(values[::-1][brain], truth[brain])[0, 1]
    assert np.corrcoef(values[brain], truth[brain])[0, 1] > max(flipped, 0.3)
    assert values[brain].mean() > 5 * values[~brain].mean()

"""A thorax and an abdomen through the commands from the datalist to the synthetic volume: nothing assumes a head."""

from __future__ import annotations

import json
from pathlib import Path

import in_process
import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tools.repository import ROOT

SCANS = ROOT.parent / "shared" / "data" / "totalsegmentator"
BODIES = {"TH": ("cta_thorax", 2), "AB": ("example_ct", 1)}
"""File and how many voxels along each axis become one, about 3 mm."""
SLICES = 16
RUNS = {
    "ldct": {"source": "ldct", "target": "ndct", "width": 4, "crop_size": 32, "critic_steps": 1},
    "mr2ct": {
        "source": "mr",
        "target": "ct",
        "plane": "axial",
        "depth": 3,
        "width": 4,
        "pad_size": 128,
        "crop_size": 64,
    },
}
SHORT = {
    "augmentation::flip": 0.5, "max_epochs": 2, "constant_epochs": 1, "decay_epochs": 1, "val_interval": 2,
    "batch_size": 2, "samples_per_epoch": 8,
}  # fmt: skip

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not SCANS.is_dir(), reason=f"no scans at {SCANS}"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of two CT as the cases of two centres each; the sources are made from the CT, without masks."""
    root, rng = tmp_path_factory.mktemp("bodies"), np.random.default_rng(0)
    for part, (name, step) in BODIES.items():
        scan = nib.as_closest_canonical(nib.load(SCANS / f"{name}.nii.gz"))
        values = ndimage.uniform_filter(np.asarray(scan.dataobj, np.float32), step)[::step, ::step, ::step]
        affine = scan.affine @ np.diag([step, step, step, 1])
        for number, first in enumerate(np.linspace(4, values.shape[2] - SLICES - 4, 4).astype(int)):
            folder = root / part / f"1{part}{'AAAB'[number]}{number:03d}"
            folder.mkdir(parents=True)
            ct = values[:, :, first : first + SLICES]
            noisy, bright = ct + rng.normal(0, 40, ct.shape), np.clip(ct + 200, 0, 600)
            place = affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, first], [0, 0, 0, 1]])
            for file, volume in {"ct": ct, "ndct": ct, "ldct": noisy, "mr": bright}.items():
                nib.save(nib.Nifti1Image(volume.astype(np.int16), place), folder / f"{file}.nii.gz")
    return root


def synthesize(*words: object) -> None:
    """Run a command, which succeeds."""
    done = in_process.synthesize(*words)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("bundle", RUNS)
def test_a_thorax_and_an_abdomen_go_through_every_step(data: Path, bundle: str, tmp_path: Path) -> None:
    listed, out, made = tmp_path / "datalist.json", tmp_path / "out", tmp_path / "made.nii.gz"
    names = [f"--source={RUNS[bundle]['source']}", f"--target={RUNS[bundle]['target']}"]
    split = ["--layout", "synthrad2025", "--test_centres", "B"]
    synthesize("datalist", "--dataset_dir", data, *split, *names, "--out", listed)
    synthesize("check", bundle, "--datalist", listed)
    settings = [f"--{name}={value}" for name, value in {**RUNS[bundle], **SHORT}.items()]
    synthesize("train", bundle, "--datalist", listed, "--output_dir", out, *settings)
    synthesize("evaluate", bundle, "--datalist", listed, "--output_dir", out)
    summary, groups = (json.loads((out / "evaluation" / f"{name}.json").read_text()) for name in ("summary", "groups"))
    assert summary["model"]["mae"]["n"] == 2
    assert set(groups) == {"body_part"}
    assert {name for name in groups["body_part"] if name.endswith(", model")} == {"abdomen, model", "thorax, model"}
    source = data / "TH" / "1THB003" / f"{RUNS[bundle]['source']}.nii.gz"
    synthesize(bundle, source, "-o", made, "--weights", out / "models" / "model.pt")
    assert nib.load(made).shape == nib.load(source).shape

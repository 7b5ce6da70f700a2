"""Eight-bit pairs of other contrasts and names: what another target than CT needs, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import TINY, Bundle, ok

BUNDLE = Bundle("mr2ct_pix2pix")
UNIT = {"output::modality": "MR", "output::unit": "a.u.", "output::suffix": "synthetic_t2"}
NAMES = {"source": "t1", "target": "t2"}
SMALL = {**TINY, "depth": 3, "crop_size": 32, "pad_size": 32}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four cases of thick axial slices."""
    root = tmp_path_factory.mktemp("eight_bit")
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (32, 32, 12)), indexing="ij")
    for number in range(4):
        head = x**2 + y**2 + z**2 < 0.8 - 0.02 * number
        t1 = np.where(head, 90 + 80 * np.sin(9 * x) * np.cos(7 * y), 0)
        folder = root / f"case_{number}"
        folder.mkdir()
        for name, values in (("t1", t1), ("t2", np.where(head, 220 - t1, 0))):
            image = nib.nifti1.Nifti1Image(values.astype(np.uint8), np.diag([1.0, 1.0, 5.0, 1.0]))
            nib.save(image, folder / f"{name}.nii.gz")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> tuple[Path, str]:
    """A training of a few steps, and what it printed."""
    folder = tmp_path_factory.mktemp("another_target")
    target = {**NAMES, **UNIT, "target_window": "[0,255]", "head_threshold": 10}
    words = {"dataset_dir": data, "output_dir": folder, **target, **SMALL}
    done = ok(BUNDLE.run("training", ["train", "demo"], **words))
    return folder, done.stdout + done.stderr


def test_table_and_files_follow_the_unit(data, run):
    folder, _ = run
    printed = ok(BUNDLE.run("evaluating", ["train", "evaluate"], output_dir=folder, dataset_dir=data)).stdout
    assert "1 held-out cases, a.u., value range 0 to 255, inside the mask" in printed
    found = json.loads((folder / "evaluation" / "summary.json").read_text())["model"]
    assert not {"bone_dice", "attenuation_error"} & found.keys()
    assert found["psnr"]["mean"] == pytest.approx(10 * np.log10(255**2 / found["mse"]["mean"]), abs=0.5)

    ok(BUNDLE.run("inference", ["inference"], output_dir=folder, dataset_dir=data, output_dtype="float32"))
    names = {path.name for path in (folder / "predictions").glob("*.nii.gz")}
    assert names == {f"case_{number}_synthetic_t2.nii.gz" for number in range(4)}
    about = json.loads((folder / "predictions" / "case_0_synthetic_t2.json").read_text())
    assert about["Unit"] == "a.u."

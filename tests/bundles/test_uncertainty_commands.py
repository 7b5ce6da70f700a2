"""Calibration, check and maps of every translation bundle; what they refuse is in ``test_uncertainty_of_a_run.py``."""

from __future__ import annotations

import json
import re
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_commands import ok

pytestmark = [pytest.mark.slow, pytest.mark.translation]
EVALUATE = ["train", "evaluate"]


def test_maps_are_as_wide_as_checked_and_volumes_stay_bit_by_bit(bundle, tiny_run, tiny_data, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    done = ok(bundle.run("calibrating", EVALUATE, output_dir=run, case_level=0.5))
    assert "calibrated on 1 cases, 90% of voxels in 50% of cases" in done.stdout
    printed = ok(bundle.run("checking", EVALUATE, output_dir=run)).stdout
    for name, options in {"plain": {}, "maps": {"uncertainty": "true"}}.items():
        out = tmp_path / name
        ok(
            bundle.run(
                "inference", ["inference"], output_dir=run, predictions_dir=out, output_dtype="float32", **options
            )
        )
    (entry,) = json.loads((tmp_path / "maps" / "manifest.json").read_text())
    plain, volume = (np.asarray(nib.load(tmp_path / name / entry["file"]).dataobj) for name in ("plain", "maps"))
    np.testing.assert_array_equal(volume, plain)
    widths = nib.load(tmp_path / "maps" / entry["uncertainty"]).get_fdata()
    mask = nib.load(tiny_data / entry["case"] / "mask.nii.gz").get_fdata() > 0
    line = re.search(rf"{entry['case']} +all +[\d.]+ +([\d.e+]+)", printed)
    # weights of z-scores are checked in these, and infer in the unit of the targets
    scale = float(torch.load(run / "models" / "model.pt", weights_only=True).get("target_scale", torch.ones(2))[1])
    if "half width (percent of brightness)" in printed:
        assert bundle.name == "mri_dagan"
        scale = np.percentile(volume[volume > volume.mean()], 99.5) / 100
    assert float(line[1]) * scale == pytest.approx(widths[mask].mean(), rel=0.002)

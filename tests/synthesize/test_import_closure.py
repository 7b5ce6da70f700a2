"""What one inference imports of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from common.simulation.head import head_anatomy
from common.simulation.mr import render_t1
from tools.repository import ROOT

BUNDLE = ROOT / "bundles" / "mr2ct_pix2pix"
MOST = 150
"""Modules of the project, with those of the command."""
PROGRAM = """
import sys
from medical_image_synthesis import bundle_run, command
command.parser_of(["mr2ct"])
bundle_run.main()
own = ("common", "medical_image_synthesis", "mr2ct_pix2pix")
print(*sorted(name for name in sys.modules if name.split(".")[0] in own))
"""


def test_an_inference_imports_few_modules_and_none_of_a_training(tmp_path: Path) -> None:
    head = head_anatomy(0, spacing=4.0)
    scan = render_t1(head, np.random.default_rng(0))
    nib.save(nib.Nifti1Image(scan.astype(np.int16), head.affine), tmp_path / "t1.nii.gz")
    run = {
        "run_id": "inference",
        "config_file": [str(BUNDLE / "configs" / "inference.yaml")],
        "options": {
            "dataset_dir": str(tmp_path / "t1.nii.gz"),
            "predictions_dir": str(tmp_path / "out"),
            "refuse": "false",
        },
        "verbose": False,
    }
    environment = {**os.environ, "PYTHONPATH": f"{BUNDLE}{os.pathsep}{ROOT}"}
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(run)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert (tmp_path / "out" / "t1_synthetic_ct.nii.gz").is_file(), done.stderr
    modules = done.stdout.splitlines()[-1].split()
    assert len(modules) <= MOST, modules
    assert not any(name.startswith("common.training") for name in modules)

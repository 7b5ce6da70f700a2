"""Calibration of a run, its check, maps and verdicts, as commands; and what each of them refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import ok
from split_phantoms import ONE, split_phantoms, trained_on

from common.simulation.corruptions.graded import CORRUPTIONS
from common.weights import checkpoints

pytestmark = pytest.mark.slow
EVALUATE = ["train", "evaluate"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Datalists of 14 phantoms at 6 mm: 2 to train on, 9 to calibrate and 3 to check."""
    return split_phantoms(tmp_path_factory.mktemp("calibration"), training=2, validation=9, test=3)


@pytest.fixture(scope="module")
def run(data) -> Path:
    """A trained and calibrated run."""
    folder = trained_on(data)
    done = ok(ONE.run("calibrating", EVALUATE, output_dir=folder))
    assert "calibrated on 9 cases; intervals hold 90% of voxels in 90% of cases" in done.stdout
    return folder


@pytest.fixture(scope="module")
def checked(run) -> str:
    """What the check of the run prints."""
    return ok(ONE.run("checking", EVALUATE, output_dir=run)).stdout


def infer(folder: Path, data: Path, **options: Any) -> Any:
    """The network has learnt little, so that a phantom may be refused."""
    given = {"datalist": data / "test.json", "output_dir": folder, "refuse": "false", **options}
    return ONE.run("inference", ["inference"], **given)


def test_the_file_records_the_calibration(run):
    told = json.loads((run / "models" / "model_trust.json").read_text())
    assert told["sha256"] == checkpoints.sha256(run / "models" / "model.pt")
    assert (told["unit"], told["level"], told["case_level"]) == ("HU", 0.9, 0.9)
    assert told["cases"] == [f"phantom_{number:03d}" for number in range(2, 11)]
    assert len(told["files"]) == 18
    assert told["intervals"]["soft"]["cases"] == 9
    assert told["limits"]["expected_mae"] <= told["limits"]["upper_mae"]


def test_check_prints_the_coverage_that_the_written_maps_have(run, data, checked, tmp_path):
    """The map of an inference covers the truth as often as the check says, but for the rounding of the volume."""
    ok(infer(run, data, predictions_dir=tmp_path, uncertainty="true"))
    for number in range(11, 14):
        case = data / "cases" / f"phantom_{number:03d}"
        truth, mask = (nib.load(case / f"{name}.nii.gz").get_fdata() for name in ("ct", "mask"))
        stem = f"phantom_{number:03d}_synthetic_ct"
        pred, widths = (nib.load(tmp_path / f"{stem}{end}.nii.gz").get_fdata() for end in ("", "_uncertainty"))
        inside = mask > 0
        covered = np.mean((np.abs(pred - truth) <= widths)[inside])
        line = re.search(rf"phantom_{number:03d} +all +([\d.]+) +([\d.]+)", checked)
        assert line is not None
        assert float(line[1]) == pytest.approx(covered, abs=0.005)
        assert float(line[2]) == pytest.approx(widths[inside].mean(), rel=0.001)


def refused(done: Any, message: str) -> None:
    assert done.returncode == 2
    assert message in done.stderr


def test_trained_cases_and_too_few_cases_are_refused(run, data):
    trained = ONE.run("calibrating", EVALUATE, output_dir=run, datalist=data / "training.json", section="test")
    refused(trained, "was trained on 2 of 2 test cases (phantom_000, phantom_001)")
    refused(ONE.run("calibrating", EVALUATE, output_dir=run, section="training"), "--section is training, not val")
    few = ONE.run("calibrating", EVALUATE, output_dir=run, section="test")
    refused(few, "section test has 3 cases with a target, and a calibration with --case_level 0.9 needs 9: pass")


def test_arbitrary_units_are_refused_since_another_scan_has_another_scale(run):
    done = ONE.run("calibrating", EVALUATE, output_dir=run, **{"calibration::unit": "a.u."})
    refused(done, "--calibration::unit is a.u., whose scale differs between scans: give z")


def test_check_prints_the_verdicts_of_cases_and_corruptions(checked):
    lines = [line for line in checked.splitlines() if line.startswith(tuple(CORRUPTIONS))]
    assert len(lines) >= 15, "each corruption on every fourth of three cases"
    assert "intact                           3 " in checked

"""Grading of a run, its check, and verdicts of an inference, as commands; and what each of them refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_commands import ok
from split_phantoms import ONE, split_phantoms, trained_on

from common.trust.verdicts.distortions import FITTED, OTHERS
from common.weights import checkpoints

pytestmark = pytest.mark.slow
EVALUATE = ["train", "evaluate"]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Datalists of 12 phantoms at 6 mm: 2 to train on, 8 to grade and 2 to check."""
    return split_phantoms(tmp_path_factory.mktemp("quality"), training=2, validation=8, test=2)


@pytest.fixture(scope="module")
def run(data) -> Path:
    """A trained and graded run."""
    folder = trained_on(data)
    done = ok(ONE.run("grading", EVALUATE, output_dir=folder))
    assert "graded on 8 cases, intact and with 12 distortions" in done.stdout
    return folder


def infer(folder: Path, datalist: Path, **options: Any) -> Any:
    return ONE.run("inference", ["inference"], datalist=datalist, output_dir=folder, **options)


def refused(done: Any, message: str) -> None:
    assert done.returncode == 2
    assert message in done.stderr


def test_the_file_tells_what_was_graded(run):
    told = json.loads((run / "models" / "model_quality.json").read_text())
    assert told["sha256"] == checkpoints.sha256(run / "models" / "model.pt")
    assert told["cases"] == [f"phantom_{number:03d}" for number in range(2, 10)]
    assert (told["unit"], told["distortions"], len(told["files"])) == ("HU", list(FITTED), 16)
    assert told["limits"]["mae"]["refuse"] <= 1.5 * told["mae"]["intact"] + 1e-6


def test_check_prints_the_verdicts_of_cases_and_distortions(run):
    printed = ok(ONE.run("checking_grades", EVALUATE, output_dir=run)).stdout
    assert "intact                           2 " in printed
    assert sum(f"{kind} *" in printed for kind in OTHERS) >= 4
    refused(ONE.run("checking_grades", EVALUATE, output_dir=run, section="validation"), "or grading was made from")


def test_too_few_and_trained_cases_are_refused(run, data):
    few = ONE.run("grading", EVALUATE, output_dir=run, section="test")
    refused(few, "grading, section test: has at least 8 cases with a target, but got 2")
    refused(ONE.run("grading", EVALUATE, output_dir=run, section="training"), "--section: is validation or test")
    rising = ONE.run("grading", EVALUATE, output_dir=run, look_above=2.0)
    refused(rising, "--look_above and --refuse_above: are multiples above 1")


def test_a_check_in_another_unit_is_refused(run):
    done = ONE.run(
        "checking_grades", EVALUATE, output_dir=run, **{"quality::unit": "z", "quality::standardise": "true"}
    )
    refused(done, "calibration or grading: is in z, as its check, but got HU")


def test_noise_is_refused_and_a_case_has_no_volume_by_its_verdict_alone(run, data, tmp_path):
    """The network of this test has learnt little, so that a phantom may be refused for its predicted error too."""
    (phantom, _) = json.loads((data / "test.json").read_text())["test"]
    image = nib.load(phantom["image"])
    noise = np.abs(np.random.default_rng(0).normal(300, 200, image.shape)).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, image.affine), tmp_path / "noise.nii.gz")
    items = [{"case": "phantom", "image": phantom["image"]}, {"case": "noise", "image": str(tmp_path / "noise.nii.gz")}]
    datalist = tmp_path / "list.json"
    datalist.write_text(json.dumps({"test": items}))
    ok(infer(run, datalist, predictions_dir=tmp_path / "all", report="true", refuse="false"))
    done = infer(run, datalist, predictions_dir=tmp_path / "some")
    assert (done.returncode, "\nREFUSED noise: " in done.stderr) == (1, True)
    told, strict = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("all", "some"))
    assert [entry["quality"] for entry in told] == [entry["quality"] for entry in strict]
    verdicts = {entry["case"]: entry["quality"]["verdict"] for entry in told}
    assert verdicts["noise"] == "refuse"
    unusual = {entry["case"]: "more unusual signs" in str(entry["quality"]["reasons"]) for entry in told}
    assert unusual == {"phantom": False, "noise": True}
    for entry in strict:
        refused = verdicts[entry["case"]] == "refuse"
        assert entry["status"] == ("refused" if refused else "done")
        assert (tmp_path / "some" / f"{entry['case']}_synthetic_ct.json").is_file()
        assert (tmp_path / "some" / f"{entry['case']}_synthetic_ct.nii.gz").is_file() is not refused
    assert "refuse (" in (tmp_path / "all" / "report.html").read_text()

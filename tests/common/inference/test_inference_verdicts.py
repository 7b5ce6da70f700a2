"""Verdicts of a batch inference: in manifest, sidecar, DICOM and page; cases that are refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from test_inference_evaluator import PERMUTED, build, cases, network, values

from common import checkpoints
from common.errors import CasesFailedError, CheckpointError
from common.quality.predictor import Predictor, Term
from common.quality.record import Record
from common.quality.verdict import Limits, Usual

__all__ = ["cases", "network"]
SIGN = "HU in the output, percentile 50"
UNLIKE = "HU in the output, percentile 50 -"


@pytest.fixture
def graded(tmp_path, cases, network):
    """Medians of 100 +- 40 HU are usual, the predicted error is 100 HU; the second case has a median of -289."""
    second = 100 * (values(1) / 100) ** 8
    nib.save(nib.Nifti1Image(second, PERMUTED), cases[1]["image"])
    predictor = Predictor({SIGN: Term(-1.0, 1.0, 0.0, 1.0, 0.0)}, math.log(100), 1.2, 1.0)
    limits = Limits({"look": 125.0, "refuse": 150.0}, {"look": 4.0, "refuse": 6.0}, {SIGN: Usual(100.0, 40.0)})
    sha256 = checkpoints.sha256(tmp_path / "model.pt")
    return Record(sha256, "HU", [], predictor, limits, {}, {}, [], [], [], None).write(tmp_path / "model.pt")


def manifest(folder: Path):
    return json.loads((folder / "out" / "manifest.json").read_text())


def test_each_case_has_its_verdict_and_its_volume_is_the_same(tmp_path, cases, network, graded):
    build(tmp_path, cases, network).run()
    found = [entry["quality"] for entry in manifest(tmp_path)]
    assert [told["verdict"] for told in found] == ["accept", "refuse", "accept"]
    assert found[0] == {"verdict": "accept", "predicted_mae": 100, "upper_mae": 120, "unit": "HU", "reasons": []}
    assert found[1]["reasons"][0].startswith(UNLIKE)
    for number, told in enumerate(found):
        about = json.loads((tmp_path / "out" / f"case_{number}_ct.json").read_text())
        assert about["Quality"] == told
    volume = nib.load(tmp_path / "out" / "case_0_ct.nii.gz").get_fdata()
    np.testing.assert_allclose(volume, 10 * values(0) - 500, atol=0.51)


def test_a_refused_case_writes_nothing_and_the_others_go_on(tmp_path, cases, network, graded):
    with pytest.raises(CasesFailedError, match=r"^1 of \d cases failed: case_1 \("):
        build(tmp_path, cases, network, refuse=True).run()
    entries = manifest(tmp_path)
    assert [entry["status"] for entry in entries] == ["done", "failed", "done"]
    assert entries[1]["reason"].startswith(f"case_1: quality: has the verdict accept or look, but got refuse: {UNLIKE}")
    assert entries[1]["quality"]["verdict"] == "refuse"
    assert not list((tmp_path / "out").glob("case_1*"))


def test_a_volume_of_an_earlier_run_that_is_refused_now_is_reported(tmp_path, cases, network, graded):
    build(tmp_path, cases, network).run()
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases failed: case_1 \("):
        build(tmp_path, cases, network, refuse=True, resume=True).run()
    assert [entry["status"] for entry in manifest(tmp_path)] == ["kept", "failed", "kept"]
    assert [entry["quality"]["verdict"] for entry in manifest(tmp_path)] == ["accept", "refuse", "accept"]
    assert network.calls == 3


def test_no_case_is_computed_without_a_grading_that_is_needed(tmp_path, cases, network):
    with pytest.raises(CheckpointError, match="--refuse: has a grading of the weights"):
        build(tmp_path, cases, network, refuse=True).run()
    assert network.calls == 0
    assert not (tmp_path / "out").exists()


def test_the_series_says_its_verdict(tmp_path, cases, network, graded):
    evaluator = build(tmp_path, cases[:2], network)
    evaluator.exporter.format = type(evaluator.exporter)(
        str(tmp_path / "out"), "ct", "CT", "HU", "bundle 1", str(tmp_path / "model.pt"), output_format="dicom"
    ).format
    evaluator.run()
    comments = [
        pydicom.dcmread(next((tmp_path / "out" / f"case_{number}_ct").iterdir())).ImageComments for number in (0, 1)
    ]
    assert "Quality: accept, predicted MAE 100 HU (90 % of calibration samples up to 120)." in comments[0]
    assert f"Quality: refuse, predicted MAE 100 HU (90 % of calibration samples up to 120); {UNLIKE}" in comments[1]

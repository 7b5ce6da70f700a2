"""Uncertainty maps of a batch inference, on the way from the network to the files."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from test_inference_evaluator import PERMUTED, build, cases, network, values

from common.errors import CheckpointError, OutputError
from common.trust.intervals import Interval
from common.trust.record import TrustRecord
from common.trust.verdict import Usual, VerdictLimits
from common.weights import checkpoints

__all__ = ["cases", "network"]


@pytest.fixture
def calibrated(tmp_path, network):
    """Half-widths are 2 + 2 x spread everywhere; no case is refused."""
    intervals = dict.fromkeys(("air", "soft", "bone"), Interval(2.0, 2.0, 9))
    usual = {"slice thickness in mm": Usual(1.0, 1.0)}
    limits = VerdictLimits(usual, {"review": 1.0e9, "refuse": 1.0e9}, 10.0, 20.0, {"best constant": 30.0})
    inference = {"mirrored": [], "steps": [], "mode": []}
    sha256 = checkpoints.sha256(tmp_path / "model.pt")
    record = TrustRecord(sha256, "HU", [], [], inference, 0.9, 0.9, intervals, [], limits)
    return record.write(tmp_path / "model.pt")


def test_maps_by_hand(tmp_path, cases, network, calibrated, caplog):
    """v -> 10 v - 500 HU: only the two contrasts move the output, by 10 times what they move v."""
    caplog.set_level("INFO")
    build(tmp_path, cases, network, uncertainty=True).run()
    assert "a case with its uncertainty takes about 5 times as long, 4 more passes" in caplog.messages
    for number in range(3):
        v = values(number).astype(float)
        low, high = v.min(), v.max()
        varied = [((v - low) / (high - low)) ** gamma * (high - low) + low for gamma in (0.8, 1.25)]
        spread = np.sqrt(sum((10 * (each - v)) ** 2 for each in varied) / 4)
        image = nib.load(tmp_path / "out" / f"case_{number}_ct_uncertainty.nii.gz")
        np.testing.assert_allclose(image.get_fdata(), 2 * (spread + 1), rtol=1e-3, atol=0.05)
        np.testing.assert_array_equal(image.affine, PERMUTED)
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["uncertainty"] for entry in entries] == [f"case_{n}_ct_uncertainty.nii.gz" for n in range(3)]


def test_a_case_without_its_map_is_computed_again_on_resume(tmp_path, cases, network, calibrated):
    build(tmp_path, cases, network, uncertainty=True).run()
    missing = tmp_path / "out" / "case_1_ct_uncertainty.nii.gz"
    missing.unlink()
    build(tmp_path, cases, network, uncertainty=True, resume=True).run()
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["status"] for entry in entries] == ["kept", "done", "kept"]
    assert missing.is_file()


def test_a_map_that_exists_is_not_overwritten(tmp_path, cases, network, calibrated):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case_2_ct_uncertainty.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"case_2_ct_uncertainty\.nii\.gz already exists"):
        build(tmp_path, cases, network, uncertainty=True).run()
    assert network.calls == 0


def test_no_case_is_computed_without_a_calibration(tmp_path, cases, network):
    with pytest.raises(CheckpointError, match="no calibration at .*model_trust.json: calibrate the weights by"):
        build(tmp_path, cases, network, uncertainty=True).run()
    assert network.calls == 0
    assert not (tmp_path / "out").exists()

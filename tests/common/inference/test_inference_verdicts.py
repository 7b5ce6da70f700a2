"""Verdicts and uncertainty maps of a batch inference: in files, manifest and page; cases that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monai.engines.utils import IterationEvents
from scipy import ndimage
from test_inference_evaluator import PERMUTED, build, cases, network, values

from common.errors import CasesFailedError, CheckpointError, OutputError, Refused
from common.trust.intervals import Interval
from common.trust.record import TrustRecord
from common.trust.verdict import Usual, VerdictLimits
from common.weights import checkpoints

__all__ = ["cases", "network"]
FEATURE = "HU in the output, percentile 50"
UNLIKE = "the synthetic CT is less dense: look whether skull and soft tissue have plausible values"


@pytest.fixture
def calibrated(tmp_path, cases, network):
    """Medians of 100 +- 40 HU are usual, the expected error is 100 HU; the second case has a median of -289."""
    second = 100 * (values(1) / 100) ** 8
    nib.save(nib.Nifti1Image(second, PERMUTED), cases[1]["image"])
    usual = {FEATURE: Usual(100.0, 40.0)}
    limits = VerdictLimits(usual, {"review": 4.0, "refuse": 6.0}, 100.0, 120.0, {"best constant": 200.0})
    intervals = dict.fromkeys(("air", "soft", "bone"), Interval(50.0, 0.0, 9))
    sha256 = checkpoints.sha256(tmp_path / "model.pt")
    record = TrustRecord(sha256, "HU", [], [], {}, 0.9, 0.9, intervals, [], limits)
    return record.write(tmp_path / "model.pt")


def manifest(folder: Path):
    return json.loads((folder / "out" / "manifest.json").read_text())


def outputs(folder: Path, case: str) -> list[str]:
    return sorted(path.name for path in (folder / "out").glob(f"{case}*"))


def test_each_case_has_its_verdict_and_its_volume_is_the_same(tmp_path, cases, network, calibrated):
    build(tmp_path, cases, network, refuse=False).run()
    found = [entry["quality"] for entry in manifest(tmp_path)]
    assert [verdict["verdict"] for verdict in found] == ["accept", "refuse", "accept"]
    errors = {"calibration_mae": 100, "upper_mae": 120, "calibrated_on": "0 cases (held out)", "case_level": 0.9}
    assert found[0] == {"verdict": "accept", **errors, "unit": "HU", "reasons": []}
    assert found[1]["reasons"][0].startswith(UNLIKE)
    assert found[1].keys() == {"verdict", "case_level", "unit", "reasons"}
    assert manifest(tmp_path)[1]["status"] == "done"
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json", "case_1_ct.nii.gz"]
    for number, verdict in enumerate(found):
        about = json.loads((tmp_path / "out" / f"case_{number}_ct.json").read_text())
        assert about["Quality"] == verdict
        assert about.get("Refused", False) is (number == 1)
    volume = nib.load(tmp_path / "out" / "case_0_ct.nii.gz").get_fdata()
    np.testing.assert_allclose(volume, 10 * values(0) - 500, atol=0.51)


def test_interpolated_slices_are_to_be_looked_at(tmp_path, cases, network, calibrated):
    """The other warnings of a file change no verdict."""
    evaluator = build(tmp_path, cases[::2], network)
    notes = {"case_0": "slices are missing, and interpolated (32 of 56)", "case_2": "sform and qform differ"}

    def noted(engine):
        (item,) = engine.state.batch
        item["image"].meta["warnings"] = notes[item["case"]]

    evaluator.add_event_handler(IterationEvents.MODEL_COMPLETED, noted)
    evaluator.run()
    found = [(entry["quality"]["verdict"], entry["quality"]["reasons"]) for entry in manifest(tmp_path)]
    assert found == [("review", [notes["case_0"]]), ("accept", [])]


def test_a_refused_case_writes_its_json_alone_and_the_others_go_on(tmp_path, cases, network, calibrated, capsys):
    with pytest.raises(CasesFailedError, match=r"^1 of 3 cases refused: case_1; all reasons are in .*manifest.json$"):
        build(tmp_path, cases, network).run()
    entries = manifest(tmp_path)
    assert [entry["status"] for entry in entries] == ["done", "refused", "done"]
    assert entries[1].keys() == {"case", "status", "reason", "quality"}
    assert entries[1]["reason"].startswith(UNLIKE)
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json"]
    about = json.loads((tmp_path / "out" / "case_1_ct.json").read_text())
    assert (about["Refused"], about["Quality"], about["Source"]) == (True, entries[1]["quality"], "case_1.nii.gz")
    assert capsys.readouterr().err.splitlines()[-1] == f"REFUSED case_1: {entries[1]['reason']}"
    assert entries[1]["reason"].endswith("; check the source, or write the volume nevertheless with --refuse false")


def test_the_refusal_of_a_case_in_memory_has_the_record_that_a_run_writes(tmp_path, cases, network, calibrated):
    with pytest.raises(Refused):
        build(tmp_path, cases[1:2], network).run()
    with pytest.raises(Refused, match=UNLIKE) as refused:
        build(tmp_path, [], network).infer(cases[1])
    assert refused.value.record == json.loads((tmp_path / "out" / "case_1_ct.json").read_text())


def test_no_option_writes_a_refused_case_as_dicom(tmp_path, cases, network, calibrated):
    with pytest.raises(CasesFailedError, match=r"1 of \d cases refused: case_1"):
        build(tmp_path, cases, network, output_format="dicom", refuse=False).run()
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json"]
    assert outputs(tmp_path, "case_0") == ["case_0_ct", "case_0_ct.json"]
    assert manifest(tmp_path)[1]["reason"].endswith("since no option writes a refused volume as DICOM")
    made = pydicom.dcmread(next((tmp_path / "out" / "case_0_ct").iterdir()))
    assert made.SeriesDescription.startswith("SYNTHETIC CT, accept, research use only: ")
    assert "at most 120 HU in 90 % of cases like those of the calibration, 0 cases (held out)." in made.ImageComments


def test_overwriting_leaves_no_volume_next_to_the_json_of_a_refusal(tmp_path, cases, network, calibrated):
    build(tmp_path, cases, network, refuse=False).run()
    with pytest.raises(CasesFailedError, match=r"1 of \d cases refused: case_1"):
        build(tmp_path, cases, network, overwrite=True).run()
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json"]


def test_the_volume_of_a_refused_case_can_be_written_afterwards(tmp_path, cases, network, calibrated):
    """Nothing is lost by replacing the JSON of a refusal, so that no further option is needed."""
    with pytest.raises(Refused):
        build(tmp_path, cases[1:2], network).run()
    build(tmp_path, cases[1:2], network, refuse=False).run()
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json", "case_1_ct.nii.gz"]
    with pytest.raises(OutputError, match="case_1_ct.nii.gz already exists"):
        build(tmp_path, cases[1:2], network, refuse=False).run()


def test_resuming_computes_a_refused_case_again_and_refuses_it_again(tmp_path, cases, network, calibrated):
    for _ in range(2):
        with pytest.raises(CasesFailedError, match=r"1 of \d cases refused: case_1"):
            build(tmp_path, cases, network, resume=True).run()
    assert [entry["status"] for entry in manifest(tmp_path)] == ["kept", "refused", "kept"]
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json"]
    build(tmp_path, cases, network, resume=True, refuse=False).run()
    assert [entry["status"] for entry in manifest(tmp_path)] == ["kept", "done", "kept"]
    assert len(network.given) == 5


def test_resuming_names_a_volume_of_an_earlier_run_as_refused_and_leaves_it(tmp_path, cases, network, calibrated):
    build(tmp_path, cases, network, refuse=False).run()
    with pytest.raises(CasesFailedError, match=r"1 of \d cases refused: case_1"):
        build(tmp_path, cases, network, resume=True).run()
    assert [entry["status"] for entry in manifest(tmp_path)] == ["kept", "refused", "kept"]
    assert [entry["quality"]["verdict"] for entry in manifest(tmp_path)] == ["accept", "refuse", "accept"]
    assert outputs(tmp_path, "case_1") == ["case_1_ct.json", "case_1_ct.nii.gz"]
    assert len(network.given) == 3


def test_nothing_is_refused_without_a_calibration(tmp_path, cases, network, caplog):
    with caplog.at_level("INFO"):
        build(tmp_path, cases, network).run()
    assert caplog.messages.count("no verdicts: no calibration next to the weights") == 1
    assert [entry["status"] for entry in manifest(tmp_path)] == ["done"] * 3
    assert "quality" not in manifest(tmp_path)[0]


@pytest.fixture
def calibrated_maps(tmp_path, network):
    """Half-widths are 2 + 2 x spread everywhere; no case is refused."""
    intervals = dict.fromkeys(("air", "soft", "bone"), Interval(2.0, 2.0, 9))
    usual = {"slice thickness in mm": Usual(1.0, 1.0)}
    limits = VerdictLimits(usual, {"review": 1.0e9, "refuse": 1.0e9}, 10.0, 20.0, {"best constant": 30.0})
    inference = {"mirrored": [], "steps": [], "mode": []}
    sha256 = checkpoints.sha256(tmp_path / "model.pt")
    record = TrustRecord(sha256, "HU", [], [], inference, 0.9, 0.9, intervals, [], limits)
    return record.write(tmp_path / "model.pt")


def test_maps_by_hand(tmp_path, cases, network, calibrated_maps):
    """A source of 20 v - 1000 HU is halved, so that 10 v - 500 are removed of each voxel."""
    build(tmp_path, cases, network, uncertainty=True).run()
    for number in range(3):
        spread = ndimage.gaussian_filter((10 * values(number).astype(float) - 500) ** 2, 3.0) ** 0.5
        image = nib.load(tmp_path / "out" / f"case_{number}_ct_uncertainty.nii.gz")
        np.testing.assert_allclose(image.get_fdata(), 2 * (spread + 1), rtol=1e-3, atol=0.05)
        np.testing.assert_array_equal(image.affine, PERMUTED)
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["uncertainty"] for entry in entries] == [f"case_{n}_ct_uncertainty.nii.gz" for n in range(3)]


def test_a_case_without_its_map_is_computed_again_on_resume(tmp_path, cases, network, calibrated_maps):
    build(tmp_path, cases, network, uncertainty=True).run()
    missing = tmp_path / "out" / "case_1_ct_uncertainty.nii.gz"
    missing.unlink()
    build(tmp_path, cases, network, uncertainty=True, resume=True).run()
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [entry["status"] for entry in entries] == ["kept", "done", "kept"]
    assert missing.is_file()


def test_a_map_that_exists_is_not_overwritten(tmp_path, cases, network, calibrated_maps):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case_2_ct_uncertainty.nii.gz").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"case_2_ct_uncertainty\.nii\.gz already exists"):
        build(tmp_path, cases, network, uncertainty=True).run()
    assert network.given == []


def test_no_case_is_computed_without_a_calibration(tmp_path, cases, network):
    with pytest.raises(CheckpointError, match="no calibration at .*model_trust.json: calibrate the weights by"):
        build(tmp_path, cases, network, uncertainty=True).run()
    assert network.given == []
    assert not (tmp_path / "out").exists()

"""Results in memory: what they say, and the files, images and series that they become."""

from __future__ import annotations

import copy
import gc
import json
import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import Grid, write_series
from tiny_models import calibrated

import medical_image_synthesis as mis

GRID = np.array([[-4.0, 0, 0, 90], [0, 4, 0, -126], [0, 0, 5, -72], [0, 0, 0, 1]])


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 100, (20, 22, 18)).astype(np.float32)


@pytest.fixture(scope="module")
def mr2ct(tiny_model):
    return tiny_model("mr2ct")


@pytest.fixture
def ct(mr2ct):
    return mr2ct((drawn(0), GRID))


def test_array_and_affine_are_those_of_the_file_and_for_reading(ct, tmp_path) -> None:
    assert ct.save(tmp_path / "new" / "ct.nii.gz") == tmp_path / "new" / "ct.nii.gz"
    written = nib.load(tmp_path / "new" / "ct.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), ct.array)
    np.testing.assert_array_equal(written.affine, ct.affine)
    assert (ct.array.dtype, ct.unit, ct.name, ct.bundle) == (np.float32, "HU", "volume", "mr2ct")
    for values in (ct.array, ct.affine):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_the_record_is_that_of_the_file_and_a_copy(ct, tmp_path) -> None:
    ct.save(tmp_path / "ct.nii.gz")
    about = json.loads((tmp_path / "ct.json").read_text())
    assert len(about["MadeFrom"].pop("OutputSha256")) == 64
    assert ct.record == about
    ct.record["MadeFrom"].clear()
    assert ct.record == about


def test_images_in_memory_have_the_header_of_the_file_and_its_place(ct, tmp_path) -> None:
    image = ct.to_nibabel()
    ct.save(tmp_path / "ct.nii.gz")
    assert image.header.binaryblock == nib.load(tmp_path / "ct.nii.gz").header.binaryblock
    assert b"SYNTHETIC" in image.header["descrip"].tobytes()
    itk = ct.to_sitk()
    assert itk.GetSize() == ct.array.shape
    index = (3, 4, 5)
    assert itk[index] == ct.array[index]
    place = np.diag([-1, -1, 1]) @ (image.affine @ [*index, 1])[:3]
    np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint(index), place, atol=1e-4)


def test_nothing_is_replaced_unasked_and_never_a_source(mr2ct, tmp_path) -> None:
    source = tmp_path / "mr.nii.gz"
    nib.save(nib.Nifti1Image(drawn(0), GRID), source)
    ct = mr2ct(source)
    place = ct.save(tmp_path / "ct.nii.gz")
    with pytest.raises(mis.UserError, match=r"ct.nii.gz (already )?exists.*overwrite=True"):
        ct.save(place)
    assert ct.save(place, overwrite=True) == place
    for name, fault in {"ct.txt": "does not end in .nii.gz, .nrrd, .mha", "mr.nii.gz": "mr.nii.gz"}.items():
        with pytest.raises(mis.UserError, match=fault):
            ct.save(tmp_path / name, overwrite=True)
    assert (nib.load(source).get_fdata() == drawn(0)).all()


def test_a_source_that_was_changed_since_is_not_taken_for_the_one_that_was_read(mr2ct, tmp_path) -> None:
    source = tmp_path / "mr.nii.gz"
    nib.save(nib.Nifti1Image(drawn(0), GRID), source)
    ct = mr2ct(source)
    source.unlink()
    for write in (lambda: ct.save(tmp_path / "ct.nii.gz"), ct.to_nibabel, lambda: ct.to_dicom(tmp_path / "series")):
        with pytest.raises(mis.UserError, match="^the source of mr was changed or removed since: synthesise it again$"):
            write()
    assert list(tmp_path.iterdir()) == []


def test_results_stay_their_own_and_leave_no_files(tiny_model, tmp_path, monkeypatch) -> None:
    held = tmp_path / "temporary"
    held.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(held))
    model, array = tiny_model("mr2ct"), drawn(0)
    first = model((array, GRID))
    array[:] = 0
    others = [model((drawn(number), GRID)) for number in range(1, 4)]
    hashes = {each.record["MadeFrom"]["SourceSha256"] for each in (first, *others)}
    assert len(hashes) == 4
    again = model((drawn(0), GRID))
    assert again.record == first.record
    del model, others
    gc.collect()
    one, other = (nib.load(each.save(tmp_path / f"{name}.nii.gz")) for name, each in (("a", first), ("b", again)))
    np.testing.assert_array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
    assert len(list(held.iterdir())) == 2
    del first, again
    gc.collect()
    assert list(held.iterdir()) == []


def test_weights_that_were_replaced_since_sign_nothing(tiny_weights, tmp_path) -> None:
    weights = tmp_path / "weights" / "model.pt"
    shutil.copytree(tiny_weights("mr2ct").parent, weights.parent)
    ct = mis.load("mr2ct", weights=weights)((drawn(0), GRID))
    before = copy.deepcopy(ct.record)
    weights.write_bytes(b"others")
    assert (ct.record, ct.verdict) == (before, None)
    with pytest.raises(mis.UserError, match="have been replaced since: load them again$"):
        ct.save(tmp_path / "ct.nii.gz")


def test_a_refused_case_is_raised_with_its_reasons_or_marked(tiny_weights, tmp_path) -> None:
    weights = calibrated(tiny_weights, tmp_path, refuse=2.0)
    with pytest.raises(mis.Refused, match="^REFUSED volume: .*refuse=False$") as caught:
        mis.load("mr2ct", weights=weights)((drawn(0), GRID))
    assert caught.value.reasons[-1].startswith("the synthetic CT is denser")
    ct = mis.load("mr2ct", weights=weights, refuse=False)((drawn(0), GRID))
    assert ct.verdict == "refuse"
    assert ct.verdict.reasons == caught.value.reasons
    assert (ct.verdict.calibration_mae, ct.verdict.unit) == (None, "HU")
    assert json.loads(ct.save(tmp_path / "ct.nii.gz").with_name("ct.json").read_text())["Refused"] is True
    with pytest.raises(mis.UserError, match="^volume: a refused volume is not written as DICOM: check the source$"):
        ct.to_dicom(tmp_path / "series")
    assert not (tmp_path / "series").exists()


def test_verdict_and_interval_are_those_of_the_calibration(tiny_weights, tmp_path) -> None:
    weights = calibrated(tiny_weights, tmp_path, refuse=1e6)
    ct = mis.load("mr2ct", weights=weights, uncertainty=True)((drawn(0), GRID))
    assert ct.verdict == "review"
    assert (ct.verdict.calibration_mae, ct.verdict.upper_mae, ct.verdict.case_level) == (100, 120, 0.8)
    assert (ct.interval.level, ct.interval.case_level) == (0.9, 0.8)
    np.testing.assert_allclose(ct.interval.upper - ct.interval.lower, 2 * ct.interval.half_width, rtol=1e-4)
    assert np.abs(ct.interval.lower + ct.interval.half_width - ct.array).max() <= 0.51
    ct.save(tmp_path / "ct.nii.gz")
    np.testing.assert_allclose(nib.load(tmp_path / "ct_uncertainty.nii.gz").get_fdata(), ct.interval.half_width)


def test_series_get_the_patient_of_their_source_or_of_a_series_alike(mr2ct, tmp_path) -> None:
    scan = Grid(shape=(24, 20, 12), spacing=(2.0, 2.0, 3.0))
    series, other = tmp_path / "mr", tmp_path / "other"
    write_series(series, scan, "MR")
    write_series(other, Grid(shape=(24, 20, 12), spacing=(2.0, 2.0, 3.0), origin=(500.0, 0.0, 0.0)), "MR")
    ct = mr2ct(series)
    patient = pydicom.dcmread(next(series.iterdir()))
    converted = mr2ct(ct_source(ct, series))
    for number, (made, like) in enumerate({ct: None, converted: series}.items()):
        out = made.to_dicom(tmp_path / f"out{number}", like=like)
        slices = [pydicom.dcmread(path) for path in out.glob("*.dcm")]
        assert len(slices) == 12
        assert {each.PatientID for each in slices} == {patient.PatientID}
        assert {each.FrameOfReferenceUID for each in slices} == {patient.FrameOfReferenceUID}
        assert {each.SeriesInstanceUID for each in slices} != {patient.SeriesInstanceUID}
    with pytest.raises(mis.UserError, match=r"other \(like\) holds 0% of volume: give the series"):
        converted.to_dicom(tmp_path / "elsewhere", like=other)
    with pytest.raises(mis.UserError, match=r"^no folder .*nowhere \(like\)"):
        converted.to_dicom(tmp_path / "elsewhere", like=tmp_path / "nowhere")
    before = {path: path.read_bytes() for path in series.iterdir()}
    with pytest.raises(mis.UserError, match="mr"):
        converted.to_dicom(series, like=series, overwrite=True)
    assert {path: path.read_bytes() for path in series.iterdir()} == before
    assert not (tmp_path / "elsewhere").exists()


def ct_source(ct: mis.SyntheticVolume, series: Path) -> tuple[np.ndarray, np.ndarray]:
    """The series of a result as arrays, as a program converts it."""
    from medical_image_synthesis.volumes import as_volume

    return as_volume(series).array, ct.affine


def test_a_result_is_scored_and_corrupted_as_it_is(ct) -> None:
    mask = (np.ones(ct.array.shape), ct.affine)
    row = mis.score(ct, (ct.array + 10, ct.affine), mask=mask, unit="HU")
    assert row["mae"] == pytest.approx(10, abs=1e-3)
    assert (row.name, row.attrs["unit"]) == ("volume", "HU")

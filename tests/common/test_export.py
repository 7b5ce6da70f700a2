"""What is written: values, grid and marks of a synthetic volume, and that it is written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from common.errors import OutputError
from common.export import GRID_FIELDS, NiftiExporter, save_like, to_stored

SHAPE = (4, 5, 6)
OBLIQUE = np.array([[-1.8, 0.4, 0.1, 30.3], [0.36, 2.0, 0, -20.7], [0, 0.1, 2.5, -11.1], [0, 0, 0, 1]])
ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) * [1.1, 0.9, 2.3], [7.7, -8.8, 9.9])
LEFT_HANDED = ROTATED @ np.diag([-1.0, 1, 1, 1])


def source(path: Path, sform: tuple | None = None, qform: tuple | None = None, endianness: str = "<", **fields) -> Path:
    """A source file with the forms given as (affine, code), and any other field of its header."""
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.int16)
    header["pixdim"][1:4] = 1.25, 1.5, 1.75
    if sform is not None:
        header.set_sform(*sform)
    if qform is not None:
        header.set_qform(*qform)
    for name, value in fields.items():
        header[name] = value
    voxels = np.arange(120, dtype=np.int16).reshape(SHAPE, order="F").astype(header.get_data_dtype())
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes(order="F"))
    return path


HEADERS = {
    "sform only": {"sform": (ROTATED, 1)},
    "sheared sform only": {"sform": (OBLIQUE, 4)},
    "qform only": {"qform": (ROTATED, 1)},
    "both": {"sform": (ROTATED, 2), "qform": (ROTATED, 1)},
    "both different": {"sform": (OBLIQUE, 3), "qform": (ROTATED, 2)},
    "left-handed": {"sform": (LEFT_HANDED, 1), "qform": (LEFT_HANDED, 1)},
    "left-handed qform": {"qform": (LEFT_HANDED, 1)},
    "big-endian": {"sform": (OBLIQUE, 1), "qform": (ROTATED, 1), "endianness": ">"},
    "scaled": {"sform": (ROTATED, 1), "scl_slope": 0.5, "scl_inter": -7},
    "broken qform": {"sform": (ROTATED, 1), "qform_code": 1, "quatern_b": 3.0},
    "neither": {},
}


@pytest.mark.parametrize("name", HEADERS)
def test_grid_is_the_source_s_to_the_bit(tmp_path, name):
    path = source(tmp_path / "source.nii", **HEADERS[name])
    output = tmp_path / "out.nii.gz"
    values = np.arange(-60, 60, dtype=np.float32).reshape(SHAPE)
    save_like(path, values, output, "int16", "SYNTHETIC")
    own, result = nib.load(path), nib.load(output)
    np.testing.assert_array_equal(result.affine, own.affine)
    for field in GRID_FIELDS:
        np.testing.assert_array_equal(result.header[field], own.header[field], err_msg=field)
    np.testing.assert_array_equal(result.get_fdata(), values)


def test_values_are_stored_as_int16_of_slope_1(tmp_path):
    path = source(tmp_path / "source.nii", sform=(ROTATED, 1), scl_slope=0.5, scl_inter=-7)
    save_like(path, np.full(SHAPE, 41.6, np.float32), tmp_path / "out.nii", "int16", "x")
    raw = (tmp_path / "out.nii").read_bytes()
    header = nib.Nifti1Header(raw[:348])
    assert header.get_data_dtype() == np.int16
    assert (float(header["scl_slope"]), float(header["scl_inter"])) == (1, 0)
    assert np.frombuffer(raw[352:], "<i2").tolist() == [42] * 120


def test_nothing_else_of_the_source_s_header_is_taken_over(tmp_path):
    path = source(
        tmp_path / "source.nii", sform=(ROTATED, 1), cal_max=800, intent_code=3, db_name=b"DOE^JANE", aux_file=b"DOE"
    )
    with_notes = nib.load(path)
    with_notes.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"DOE^JANE"))
    nib.save(with_notes, tmp_path / "noted.nii")
    save_like(tmp_path / "noted.nii", np.zeros(SHAPE), tmp_path / "out.nii", "int16", "x")
    header = nib.load(tmp_path / "out.nii").header
    assert (float(header["cal_max"]), int(header["intent_code"]), len(header.extensions)) == (0, 0, 0)
    assert b"DOE" not in (tmp_path / "out.nii").read_bytes()


def test_a_nifti_2_source_and_one_of_a_single_time_point(tmp_path):
    nib.save(nib.Nifti2Image(np.ones(SHAPE, np.float32), ROTATED), tmp_path / "two.nii")
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 1), np.float32), ROTATED), tmp_path / "four.nii")
    for name in ("two.nii", "four.nii"):
        save_like(tmp_path / name, np.zeros(SHAPE), tmp_path / f"out_{name}", "int16", "x")
        result = nib.load(tmp_path / f"out_{name}")
        assert result.shape == SHAPE
        np.testing.assert_allclose(result.affine, ROTATED, rtol=1e-6)


def test_wrong_shape_is_refused(tmp_path):
    path = source(tmp_path / "source.nii", sform=(ROTATED, 1))
    with pytest.raises(OutputError, match=r"has the source's shape \(4, 5, 6\), but got \(6, 5, 4\)"):
        save_like(path, np.zeros(SHAPE[::-1]), tmp_path / "out.nii", "int16", "x")
    assert not (tmp_path / "out.nii").exists()


class TestToStored:
    def test_clipped_rounded_and_counted(self, caplog):
        with caplog.at_level(logging.WARNING):
            stored = to_stored(np.array([-40000, 70000, 0.6, -0.6, 1.4], np.float32), "int16", "case_1")
        assert stored.dtype == np.int16
        assert stored.tolist() == [-32768, 32767, 1, -1, 1]
        assert "case_1: 2 voxels clipped to int16, [-32768, 32767]" in caplog.text

    def test_no_warning_within_range(self, caplog):
        assert to_stored(np.array([-32768.4, 32767.4]), "int16", "a").tolist() == [-32768, 32767]
        assert caplog.text == ""

    @pytest.mark.parametrize(("dtype", "expected"), [("int32", [-(2**31), 2**31 - 1]), ("uint8", [0, 255])])
    def test_limits_beyond_float32(self, dtype, expected):
        assert to_stored(np.array([-3e9, 3e9], np.float32), dtype, "a").tolist() == expected

    def test_floats_stay(self):
        assert to_stored(np.array([0.6, 70000.5]), "float32", "a").tolist() == [np.float32(0.6), 70000.5]

    @pytest.mark.parametrize("dtype", ["int16", "float32"])
    def test_what_is_not_finite_fails(self, dtype):
        with pytest.raises(OutputError, match="case_1: synthetic volume: is finite, but got 2 voxels of NaN"):
            to_stored(np.array([1.0, np.nan, -np.inf]), dtype, "case_1")


@pytest.fixture
def exporter(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"weights")
    return NiftiExporter(str(tmp_path / "out"), "synthetic_ct", "HU", "mr2ct 1.2.3", str(tmp_path / "model.pt"))


@pytest.fixture
def item(tmp_path):
    path = source(tmp_path / "mr.nii", sform=(ROTATED, 1), qform=(ROTATED, 1))
    image = MetaTensor(torch.zeros(1, *SHAPE), affine=torch.from_numpy(nib.load(path).affine))
    image.meta["original_affine"] = nib.load(path).affine
    image.meta["filename_or_obj"] = str(path)
    return {"case": "case_1", "image": image}


class TestExporter:
    def test_header_and_sidecar_say_what_it_is(self, exporter, item, tmp_path):
        path = exporter.write(item, np.full(SHAPE, 3.0))
        assert path == tmp_path / "out" / "case_1_synthetic_ct.nii.gz"
        description = bytes(nib.load(path).header["descrip"]).rstrip(b"\0")
        assert description == b"SYNTHETIC mr2ct 1.2.3, not for clinical use"
        assert json.loads((tmp_path / "out" / "case_1_synthetic_ct.json").read_text()) == {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": "mr2ct 1.2.3",
            "WeightsSha256": hashlib.sha256(b"weights").hexdigest(),
            "Source": "mr.nii",
            "Unit": "HU",
        }
        names = ["case_1_synthetic_ct.json", "case_1_synthetic_ct.nii.gz"]
        assert sorted(entry.name for entry in path.parent.iterdir()) == names

    def test_a_dot_in_the_case_s_name(self, exporter, item):
        path = exporter.write({**item, "case": "site.1.v2"}, np.zeros(SHAPE))
        assert path.name == "site.1.v2_synthetic_ct.nii.gz"
        assert (path.parent / "site.1.v2_synthetic_ct.json").is_file()

    @pytest.mark.parametrize("existing", ["case_1_synthetic_ct.nii.gz", "case_1_synthetic_ct.json"])
    def test_existing_output_is_refused_early(self, exporter, existing):
        exporter.require_free([{"case": "case_1", "image": "mr.nii"}])
        (exporter.output_dir / existing).touch()
        with pytest.raises(OutputError, match=f"{existing}: does not exist yet, but got a file; give --overwrite true"):
            exporter.require_free([{"case": "case_0", "image": "mr.nii"}, {"case": "case_1", "image": "mr.nii"}])
        exporter.overwrite = True
        exporter.require_free([{"case": "case_1", "image": "mr.nii"}])

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_output_that_is_an_input_is_refused(self, exporter, overwrite, tmp_path):
        exporter.overwrite = overwrite
        image = str(tmp_path / "elsewhere" / ".." / "out" / "case_1_synthetic_ct.nii.gz")
        with pytest.raises(OutputError, match="is not an input of the same run"):
            exporter.require_free([{"case": "case_1", "image": ["other.nii.gz", image]}])

    def test_unwritable_folder_is_refused_early(self, exporter):
        exporter.output_dir.write_text("a file where the folder should be")
        with pytest.raises(OutputError, match="out: is a writable folder, but got"):
            exporter.require_free([])

    @pytest.mark.parametrize(
        ("failure", "expected"),
        [
            (OSError(errno.ENOSPC, "No space left on device"), OutputError),
            (OSError("cut off"), OutputError),
            (KeyboardInterrupt(), KeyboardInterrupt),
        ],
    )
    def test_failure_midway_leaves_nothing(self, exporter, item, monkeypatch, failure, expected):
        def fail(image, name):
            Path(name).write_bytes(b"half a volume")
            raise failure

        monkeypatch.setattr(nib, "save", fail)
        with pytest.raises(expected, match=r"synthetic_ct.nii.gz: can be written, but got (No space left|cut off)|^$"):
            exporter.write(item, np.zeros(SHAPE))
        assert list(exporter.output_dir.iterdir()) == []

    def test_failure_while_overwriting_keeps_the_old_file(self, exporter, item, monkeypatch):
        path = exporter.write(item, np.full(SHAPE, 5.0))
        before = path.read_bytes()
        monkeypatch.setattr(nib, "save", lambda image, name: (_ for _ in ()).throw(OSError("cut off")))
        with pytest.raises(OutputError, match="cut off"):
            exporter.write(item, np.zeros(SHAPE))
        assert path.read_bytes() == before

    def test_nan_fails_the_case_and_leaves_nothing(self, exporter, item):
        values = np.zeros(SHAPE)
        values[1, 2, 3] = np.nan
        with pytest.raises(OutputError, match="case_1_synthetic_ct.nii.gz: .* is finite, but got 1 voxels"):
            exporter.write(item, values)
        assert not exporter.output_dir.exists()

    def test_the_engine_s_cases_are_written_by_name(self, exporter, item):
        pred = MetaTensor(torch.full((1, *SHAPE), 8.0), affine=item["image"].affine)
        exporter(SimpleNamespace(state=SimpleNamespace(batch=[item], output=[{"pred": pred}])))
        assert (nib.load(exporter.path("case_1")).get_fdata() == 8).all()

    @pytest.mark.parametrize("plain", [False, True])
    def test_a_prediction_that_was_not_inverted_is_refused(self, exporter, item, plain):
        # a flipped axis keeps the shape, so that the shape alone would not betray it
        item["image"].affine = item["image"].affine @ torch.diag(torch.tensor([-1.0, 1, 1, 1])).double()
        pred = MetaTensor(torch.zeros(1, *SHAPE), affine=item["image"].affine)
        output = {"pred": pred.as_tensor() if plain else pred}
        with pytest.raises(OutputError, match="case_1: synthetic volume: has the source's affine"):
            exporter(SimpleNamespace(state=SimpleNamespace(batch=[item], output=[output])))
        assert not exporter.output_dir.exists()

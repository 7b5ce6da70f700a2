"""What NIfTI output holds: the grid of its source to the bit, the values, and nothing else of the source."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as itk  # noqa: N813

from common.errors import OutputError
from common.io.export.nifti import GRID_FIELDS, save_like
from common.io.export.one_file import FileFormat
from common.io.export.volume import OutputVolume
from common.io.nifti.reading import read_header, read_values

SHAPE = (4, 5, 6)
OBLIQUE = np.array([[-1.8, 0.4, 0.1, 30.3], [0.36, 2.0, 0, -20.7], [0, 0.1, 2.5, -11.1], [0, 0, 0, 1]])
ROTATED = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) * [1.1, 0.9, 2.3], [7.7, -8.8, 9.9])
MOVED = nib.affines.from_matvec(nib.eulerangles.euler2mat(-0.3, 0, 0.2) * [1.1, 0.9, 2.3], [-1, 2, 3])
LEFT_HANDED = ROTATED @ np.diag([-1.0, 1, 1, 1])


def source(path: Path, sform: tuple | None = None, qform: tuple | None = None, endianness: str = "<", **fields) -> Path:
    """A source file with the forms given as (affine, code), pixdim of the sform, and any other field of its header."""
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.int16)
    header["pixdim"][1:4] = 1.25, 1.5, 1.75
    if sform is not None:
        header.set_sform(*sform)
        header["pixdim"][1:4] = nib.affines.voxel_sizes(sform[0])
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
    "left-handed": {"sform": (LEFT_HANDED, 1), "qform": (LEFT_HANDED, 1)},
    "left-handed qform": {"qform": (LEFT_HANDED, 1)},
    "big-endian": {"sform": (MOVED, 1), "qform": (MOVED, 1), "endianness": ">"},
    "scaled": {"sform": (ROTATED, 1), "scl_slope": 0.5, "scl_inter": -7},
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
    np.testing.assert_array_equal(read_values(read_header(path, "a")), own.get_fdata())


PLAIN = ROTATED @ np.diag([1 / 1.1, 1 / 0.9, 1 / 2.3, 1])
MIDDLE = np.array([[-1.25, 0, 0, 1.875], [0, 1.5, 0, -3], [0, 0, 1.75, -4.375], [0, 0, 0, 1]])
"""Of pixdim alone, as nibabel and MONAI take it."""
AT_ODDS = {
    "pixdim of 1 mm": ({"sform": (ROTATED, 4), "pixdim": [1, 1, 1, 1, 0, 0, 0, 0]}, ROTATED, "pixdim and sform have"),
    "no pixdim": ({"sform": (ROTATED, 2), "pixdim": np.zeros(8)}, ROTATED, "pixdim and sform have"),
    "other places": ({"sform": (MOVED, 4), "qform": (ROTATED, 1)}, MOVED, "sform and qform differ"),
    "neither form": ({}, MIDDLE, "neither sform nor qform gives the orientation"),
    "qform of another size": ({"sform": (ROTATED, 1), "qform": (PLAIN, 1)}, ROTATED, "sform and qform differ"),
    "broken qform": ({"sform": (ROTATED, 1), "qform_code": 1, "quatern_b": 3.0}, ROTATED, "sform and qform differ"),
    "sheared sform": ({"sform": (OBLIQUE, 1), "qform": (ROTATED, 1)}, OBLIQUE, "sform and qform differ"),
    "micrometres": (
        {"sform": (ROTATED, 1), "xyzt_units": 3},
        np.diag([1e-3, 1e-3, 1e-3, 1]) @ ROTATED,
        r"the unit of lengths is not mm \(micrometres\); converted to mm",
    ),
    "metres": (
        {"sform": (ROTATED, 1), "xyzt_units": 1},
        np.diag([1e3, 1e3, 1e3, 1]) @ ROTATED,
        r"the unit of lengths is not mm \(metres\); converted to mm",
    ),
    "unit 7": ({"sform": (ROTATED, 1), "xyzt_units": 7}, ROTATED, r"not mm \(code 7\); mm are assumed"),
}


@pytest.mark.parametrize("name", AT_ODDS)
def test_a_header_at_odds_with_itself_is_warned_of_and_not_passed_on(tmp_path, name):
    """By pixdim, form, affine or unit, every reader finds in the output the grid that was read."""
    fields, affine, warning = AT_ODDS[name]
    path = source(tmp_path / "source.nii", **fields)
    header = read_header(path, "a")
    np.testing.assert_allclose(header.affine, affine, rtol=1e-6, atol=1e-9)
    assert [re.search(warning, str(each)) is not None for each in header.warnings] == [True]
    save_like(path, np.zeros(SHAPE, np.float32), tmp_path / "out.nii", "int16", "SYNTHETIC")
    result = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(result.header.get_sform(), affine, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.header.get_zooms(), nib.affines.voxel_sizes(affine), rtol=1e-6)
    assert result.header.get_xyzt_units()[0] == "mm"
    if result.header["qform_code"] > 0:
        np.testing.assert_allclose(result.header.get_qform(), affine, rtol=1e-5, atol=1e-5)
    assert (result.header["qform_code"] > 0) == (name != "sheared sform")
    assert result.header["sform_code"] == max(1, fields.get("sform", (MIDDLE, 0))[1])
    assert len(read_header(tmp_path / "out.nii", "a").warnings) == (name == "sheared sform")
    if name != "sheared sform":  # which ITK refuses
        image = itk.ReadImage(str(tmp_path / "out.nii"))
        np.testing.assert_allclose(image.GetSpacing(), nib.affines.voxel_sizes(affine), rtol=1e-6)
        place = image.TransformIndexToPhysicalPoint((3, 4, 5))
        np.testing.assert_allclose(place, (affine @ [3, 4, 5, 1])[:3] * [-1, -1, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("sform_code", "qform_code", "used"),
    [(77, 0, "sform"), (77, 1, "sform"), (-1, 1, "qform"), (-1, 77, "qform"), (0, -3, "neither"), (-1, 0, "neither")],
)
def test_codes_that_nifti_has_not_are_read_as_its_library_does(tmp_path, sform_code, qform_code, used):
    """Above 0 counts, below does not; the output says the same with codes that every reader knows."""
    forms = {"sform": (OBLIQUE, 1), "qform": (ROTATED, 1)}
    path = source(tmp_path / "source.nii", **forms, sform_code=sform_code, qform_code=qform_code)
    affine = read_header(path, "a").affine
    plain = source(tmp_path / "plain.nii", **forms, sform_code=0, qform_code=0)
    wanted = {"sform": OBLIQUE, "qform": ROTATED, "neither": nib.load(plain).affine}[used]
    np.testing.assert_allclose(affine, wanted, atol=1e-5)
    save_like(path, np.zeros(SHAPE, np.float32), tmp_path / "out.nii", "int16", "SYNTHETIC")
    result = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(result.affine, affine, atol=1e-5)
    codes = [int(result.header[name]) for name in ("sform_code", "qform_code")]
    assert set(codes) <= {0, 1, 2, 3, 4}
    assert max(codes) > 0


def test_values_are_stored_as_int16_of_slope_1_and_those_of_another_shape_refused(tmp_path):
    path = source(tmp_path / "source.nii", sform=(ROTATED, 1), scl_slope=0.5, scl_inter=-7)
    with pytest.raises(OutputError, match=r"has the shape \(6, 5, 4\), not the source's \(4, 5, 6\)"):
        save_like(path, np.zeros(SHAPE[::-1]), tmp_path / "out.nii", "int16", "x")
    assert not (tmp_path / "out.nii").exists()
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


def test_a_source_that_is_no_nifti_file_gives_its_affine(tmp_path):
    volume = OutputVolume("a", np.full(SHAPE, 7.0), ROTATED, tmp_path / "mr.mha", series_uid=None)
    FileFormat("bundle 0.1.0", "int16", ".nii.gz").write(volume, tmp_path / "out.nii.gz")
    result = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(result.affine, ROTATED, rtol=1e-6)
    assert (result.header["sform_code"], result.get_fdata().max()) == (1, 7)

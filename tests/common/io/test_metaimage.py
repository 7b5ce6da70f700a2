"""MetaImage files give the values and the affine of the same volume as NIfTI."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from common.errors import VolumeError
from common.io.reader import VolumeReader
from common.transforms import LoadVolumed

itk = pytest.importorskip("itk")
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
RAS = np.array([[-1.0, 0, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])
"""Of a file with spacing 1, 2, 3 mm and origin 10, 20, 30 mm in LPS."""


@pytest.fixture
def write(tmp_path):
    def written(values):
        image = itk.image_from_array(np.ascontiguousarray(values.T))  # ITK's arrays are Z, Y, X
        image.SetSpacing([1.0, 2.0, 3.0][: values.ndim])
        image.SetOrigin([10.0, 20.0, 30.0][: values.ndim])
        itk.imwrite(image, str(tmp_path / "mr.mha"))
        return tmp_path / "mr.mha"

    return written


def test_values_and_affine(write):
    scan = VolumeReader().read(write(VALUES), "a")
    np.testing.assert_array_equal(scan.values, VALUES)
    np.testing.assert_allclose(scan.affine, RAS)
    assert (scan.values.dtype, scan.warnings, scan.series_uid) == (np.float32, (), None)


def test_nan_is_an_error_or_replaced(write):
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    path = write(values)
    match = r"a \(mr\.mha\): a volume has 3 dimensions and finite voxels, but got 3 dimensions, 1 NaN or Inf"
    with pytest.raises(VolumeError, match=match):
        VolumeReader().check(path, "a")
    filled = VolumeReader(nan_fill=-1000).check(path, "a").values
    assert (filled[1, 2, 3], filled.dtype) == (-1000, np.float32)


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(VolumeError, match="but got 2 dimensions, 0 NaN"):
        VolumeReader().check(write(VALUES[0]), "a")
    (tmp_path / "text.mha").write_text("text")
    with pytest.raises(VolumeError, match=r"a \(text\.mha\): the file must be readable by ITK, but got"):
        VolumeReader().check(tmp_path / "text.mha", "a")


def test_itk_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    match = r"a \(mr\.mha\): MetaImage files are read by ITK, but got no package itk; pip install itk, or convert"
    with pytest.raises(VolumeError, match=match):
        VolumeReader().check(tmp_path / "mr.mha", "a")


def test_loaded_like_nifti(write, tmp_path):
    nib.save(nib.Nifti1Image(VALUES, RAS), tmp_path / "mr.nii.gz")
    paths = (write(VALUES), tmp_path / "mr.nii.gz")
    mha, nifti = (LoadVolumed("image")({"image": str(path), "case": "a"})["image"] for path in paths)
    np.testing.assert_array_equal(mha, nifti)
    np.testing.assert_allclose(mha.affine, nifti.affine)
    assert mha.meta["filename_or_obj"] == str(tmp_path / "mr.mha")

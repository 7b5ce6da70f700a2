import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series

from common.errors import VolumeError
from common.io.reader import VolumeReader, volume_path


def test_a_file_and_a_folder_give_the_same(tmp_path):
    uid = write_series(tmp_path / "ct")
    series = VolumeReader().check(tmp_path / "ct", "a")
    nib.save(nib.Nifti1Image(series.values, series.affine), tmp_path / "ct.nii.gz")
    file = VolumeReader().check(tmp_path / "ct.nii.gz", "a")
    np.testing.assert_array_equal(file.values, series.values)
    np.testing.assert_allclose(file.affine, series.affine, atol=1e-5)
    assert (series.series_uid, series.unit) == (uid, "HU")
    assert (file.series_uid, file.unit) == (None, None)


def test_one_file_of_a_series_is_refused(tmp_path):
    write_series(tmp_path / "ct")
    match = r"a \(001\.dcm\): a DICOM series is given by its folder, but got one file; give the folder of its files"
    with pytest.raises(VolumeError, match=match):
        VolumeReader().check(tmp_path / "ct" / "001.dcm", "a")


def test_what_is_odd_is_logged_by_the_one_and_returned_by_the_other(tmp_path, caplog):
    write_series(tmp_path / "ct", values=np.full(Grid().shape, 40.0))
    (tmp_path / "ct" / "notes.txt").touch()
    (note,) = VolumeReader().check(tmp_path / "ct", "a").warnings
    assert caplog.messages == []
    VolumeReader().read(tmp_path / "ct", "a")
    assert caplog.messages == [str(note), "a (ct): every voxel is 40"]


def test_where_a_volume_may_be(tmp_path):
    write_series(tmp_path / "mr")
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct.nii").touch()
    assert volume_path(tmp_path, "mr", (".nii.gz", ".nii")) == [tmp_path / "mr"]
    assert volume_path(tmp_path, "ct", (".nii.gz", ".nii")) == [tmp_path / "ct.nii"]
    assert volume_path(tmp_path, "pet", (".nii.gz", ".nii")) == []

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series
from monai.data import CacheDataset
from monai.transforms import Compose

from common.data.datasets.slices import SliceDataset
from common.data.selection import training_cases
from common.errors import ConfigError, VolumeError
from common.io.nifti.reading import Header, read_values
from common.io.reader import VolumeReader
from common.transforms import HeadMaskd, LoadVolumed


def test_one_file_of_a_series_is_refused(tmp_path):
    write_series(tmp_path / "ct")
    match = r"a \(001\.dcm\): a single file of a DICOM series; give the folder of the series"
    with pytest.raises(VolumeError, match=match):
        VolumeReader().check(tmp_path / "ct" / "001.dcm", "a")


@pytest.mark.parametrize(("given", "name"), [({"series": "1.2.3"}, "series"), ({"phase": 2}, "phase")])
def test_an_option_of_series_is_refused_where_there_is_none(tmp_path, given, name):
    write_series(tmp_path / "ct")
    file = str(tmp_path / "mr.nii.gz")
    with pytest.raises(
        ConfigError, match=f"--{name} chooses among DICOM series, the inputs are files: omit it, or give"
    ):
        VolumeReader(**given).require_series([file, [file, file]])
    VolumeReader(**given).require_series([file, str(tmp_path / "ct")])
    VolumeReader(**given).require_series([])
    VolumeReader(resample_tilt=True).require_series([file])


def test_what_is_odd_is_logged_by_the_one_and_returned_by_the_other(tmp_path, caplog):
    write_series(tmp_path / "ct", values=np.full(Grid().shape, 40.0))
    (tmp_path / "ct" / "notes.txt").touch()
    (note,) = VolumeReader().check(tmp_path / "ct", "a").warnings
    assert caplog.messages == []
    VolumeReader().read(tmp_path / "ct", "a")
    assert caplog.messages == [str(note), "a (ct): every voxel is 40"]


def volume(path: Path) -> Path:
    nib.save(nib.Nifti1Image(np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.eye(4)), path)
    return path


def test_training_reads_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / "data" / f"case_{number}").mkdir(parents=True)
        for name in ("mr", "ct"):
            values = np.random.default_rng(number).normal(0, 300, (6, 6, 6)).astype(np.float32)
            nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "data" / f"case_{number}" / f"{name}.nii.gz")
    read: list[str] = []

    def counted(header: Header, *settings: object) -> np.ndarray:
        read.append(str(header.path))
        return read_values(header, *settings)

    monkeypatch.setattr("common.io.reader.read_values", counted)
    reader = VolumeReader()
    lists = training_cases(str(tmp_path / "data"), "", print, str(tmp_path / "run"), reader=reader)
    steps = Compose([LoadVolumed(["image", "label"], reader), HeadMaskd("label", threshold=-1000)])
    SliceDataset(lists["training"], steps, plane="axial")
    CacheDataset(lists["validation"], steps, progress=False)
    assert len(read) == len(set(read)) == 8, "of three cases that are used, and one for the test"

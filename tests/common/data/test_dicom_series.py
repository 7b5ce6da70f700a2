import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from common.data.dicom_series import read_series
from common.data.findings import VolumeError

SHAPE = (4, 6, 5)
"""Rows, columns, slices."""


def write(folder, change=lambda each, number: None, orientation=(1, 0, 0, 0, 1, 0), step=(0, 0, 2.5)):
    """A series whose stored value is 1000 + x + 10 y + 100 z, of HU by -1000; files are named against their order."""
    folder.mkdir(parents=True)
    series = generate_uid()
    for number in range(SHAPE[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        each = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        each.SOPClassUID, each.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        each.SeriesInstanceUID, each.Modality, each.PhotometricInterpretation = series, "CT", "MONOCHROME2"
        each.Rows, each.Columns, each.SamplesPerPixel = *SHAPE[:2], 1
        each.BitsAllocated, each.BitsStored, each.HighBit, each.PixelRepresentation = 16, 16, 15, 0
        each.RescaleSlope, each.RescaleIntercept = 1, -1000
        each.PixelSpacing, each.ImageOrientationPatient = [0.5, 0.8], list(orientation)
        each.ImagePositionPatient = [-20 + number * step[0], 30 + number * step[1], 100 + number * step[2]]
        y, x = np.meshgrid(np.arange(SHAPE[0]), np.arange(SHAPE[1]), indexing="ij")
        each.PixelData = (1000 + x + 10 * y + 100 * number).astype(np.uint16).tobytes()
        change(each, number)
        each.save_as(folder / f"{9 - number}.dcm", enforce_file_format=True)
    return folder


def refused(folder, match):
    with pytest.raises(VolumeError, match=match):
        read_series(folder, "case7")


def test_values_are_hu_and_places_are_ras_mm(tmp_path):
    values, affine = read_series(write(tmp_path / "ct"), "case7")
    assert values.shape == (6, 4, 5)
    assert values[3, 2, 4] == 3 + 20 + 400
    # rows are 0.5 mm apart, columns 0.8 mm; LPS (-20, 30, 100) is RAS (20, -30, 100)
    assert (affine @ [3, 2, 4, 1])[:3] == pytest.approx([20 - 3 * 0.8, -30 - 2 * 0.5, 100 + 4 * 2.5])


def test_slices_are_sorted_by_place_whatever_their_direction(tmp_path):
    values, affine = read_series(write(tmp_path / "ct", step=(0, 0, -2.5)), "case7")
    assert values[0, 0].tolist() == [400, 300, 200, 100, 0]
    assert (affine @ [0, 0, 0, 1])[2] == pytest.approx(90)


def test_other_files_are_passed_over(tmp_path):
    folder = write(tmp_path / "ct")
    (folder / "notes.txt").write_text("not DICOM")
    assert read_series(folder, "case7")[0].shape == (6, 4, 5)


def test_a_missing_slice_is_refused(tmp_path):
    folder = write(tmp_path / "ct")
    (folder / "7.dcm").unlink()
    refused(folder, r"case7 \(ct\): slices are evenly spaced, but got gaps from 2.500 to 5.000 mm; find the missing")


def test_two_series_are_refused(tmp_path):
    def other(each, number):
        if number == 2:
            each.SeriesInstanceUID = generate_uid()

    refused(write(tmp_path / "ct", other), "the folder holds one series, but got 2 values of SeriesInstanceUID")


def test_a_gantry_tilt_is_refused(tmp_path):
    refused(
        write(tmp_path / "ct", step=(0, 0.5, 2.5)), "slices lie straight above each other, but got a tilt of 0.500 mm"
    )


def test_a_slice_without_its_rescale_is_refused(tmp_path):
    def drop(each, number):
        if number == 1:
            del each.RescaleSlope

    refused(
        write(tmp_path / "ct", drop), "every slice has RescaleSlope, but got 1 of 5 without; export the series again"
    )


def test_truncated_pixels_are_refused(tmp_path):
    folder = write(tmp_path / "ct")
    each = pydicom.dcmread(folder / "8.dcm")
    each.PixelData = each.PixelData[:20]
    each.save_as(folder / "8.dcm", enforce_file_format=True)
    refused(folder, "pixels can be decoded, but got ValueError")


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "ct").mkdir()
    refused(tmp_path / "ct", "the folder holds a DICOM series, but got no slices; give the series' own folder")

"""Readers of DICOM series in common use, each giving values (X, Y, Z) and the affine (4, 4) to RAS mm."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import LPS_TO_RAS


def by_hand(folder: Path) -> nib.Nifti1Image:
    return stacked(map(pydicom.dcmread, folder.glob("*.dcm")))


def stacked(slices: Iterable[pydicom.Dataset]) -> nib.Nifti1Image:
    """Equation C.7.6.2.1-1 of PS3.3, with the third column from the outermost slices."""
    first, *_ = slices = list(slices)
    row, column = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    slices.sort(key=lambda each: np.dot(np.cross(row, column), each.ImagePositionPatient))
    first, last = (np.array(slices[i].ImagePositionPatient, float) for i in (0, -1))
    between_rows, between_columns = map(float, slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [row * between_columns, column * between_rows, (last - first) / (len(slices) - 1), first]
    )
    planes = [
        each.pixel_array.T * float(each.get("RescaleSlope", 1)) + float(each.get("RescaleIntercept", 0))
        for each in slices
    ]
    return nib.Nifti1Image(np.stack(planes, axis=2), LPS_TO_RAS @ affine)


def by_simpleitk(folder: Path) -> nib.Nifti1Image:
    sitk = pytest.importorskip("SimpleITK")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names if len(names) > 1 else names[0])  # one of several frames
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return nib.Nifti1Image(sitk.GetArrayFromImage(image).T.astype(float), LPS_TO_RAS @ affine)


def by_monai(folder: Path) -> nib.Nifti1Image:
    pytest.importorskip("itk")
    from monai.data import ITKReader

    reader = ITKReader()
    values, meta = reader.get_data(reader.read(str(folder)))
    return nib.Nifti1Image(np.asarray(values, float), np.asarray(meta["affine"]))


def by_highdicom(folder: Path) -> nib.Nifti1Image:
    highdicom = pytest.importorskip("highdicom")
    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    volume = highdicom.get_volume_from_series(slices, apply_presentation_lut=False)
    order = [2, 1, 0]  # it has slices first, then rows
    affine = volume.get_affine("RAS") @ np.eye(4)[:, [*order, 3]]
    return nib.Nifti1Image(volume.array.astype(float).transpose(order), affine)


def by_dicom2nifti(folder: Path) -> nib.Nifti1Image:
    dicom2nifti = pytest.importorskip("dicom2nifti")
    with tempfile.TemporaryDirectory() as place:
        made = dicom2nifti.dicom_series_to_nifti(str(folder), f"{place}/out.nii", reorient_nifti=False)["NII"]
        return nib.Nifti1Image(made.get_fdata(), made.affine)


def by_dcm2niix(folder: Path) -> nib.Nifti1Image:
    dcm2niix = pytest.importorskip("dcm2niix")
    with tempfile.TemporaryDirectory() as place:
        words = [dcm2niix.bin, "-f", "out", "-b", "n", "-z", "n", "-o", place, str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert Path(place, "out.nii").is_file(), done.stdout + done.stderr
        made = nib.load(f"{place}/out.nii")
        return nib.Nifti1Image(made.get_fdata(), made.affine)


READERS = {
    "pydicom": by_hand,
    "SimpleITK": by_simpleitk,
    "MONAI ITKReader": by_monai,
    "highdicom": by_highdicom,
    "dicom2nifti": by_dicom2nifti,
    "dcm2niix": by_dcm2niix,
}

"""Volumes in memory become NIfTI images with the same values, type and place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from dicom_phantom import Grid, write_series
from monai.data import MetaTensor

from common.errors import OutputError, VolumeError
from common.io import VolumeReader
from medical_image_synthesis.volumes import as_volume, in_memory_image

VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.array([[-1.1, 0, 0, 90.123456789012], [0, 1.2, 0, -126], [0, 0, 2.5, -72], [0, 0, 0, 1]])


def _sitk(values: np.ndarray) -> Any:
    itk = pytest.importorskip("SimpleITK")
    image = itk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing([1.1, 1.2, 2.5])
    image.SetDirection([1, 0, 0, 0, -1, 0, 0, 0, 1])
    image.SetOrigin([-90.123456789012, 126, -72])
    return image


SAME = {
    "nibabel": lambda: nib.Nifti1Image(VALUES, AFFINE),
    "mgh": lambda: nib.MGHImage(VALUES, AFFINE),
    "SimpleITK": lambda: _sitk(VALUES),
    "MetaTensor": lambda: MetaTensor(torch.from_numpy(VALUES)[None], affine=torch.from_numpy(AFFINE)),
    "MetaTensor without channels": lambda: MetaTensor(torch.from_numpy(VALUES), affine=torch.from_numpy(AFFINE)),
    "MetaTensor in LPS": lambda: MetaTensor(
        torch.from_numpy(VALUES)[None],
        meta={"affine": torch.from_numpy(np.diag([-1.0, -1, 1, 1]) @ AFFINE), "space": "LPS"},
    ),
    "arrays": lambda: (VALUES, AFFINE),
    "tensors": lambda: (torch.from_numpy(VALUES)[None], torch.from_numpy(AFFINE)),
    "a result": lambda: SimpleNamespace(array=VALUES, affine=AFFINE, unit="HU"),
}


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_keeps_values_type_and_place(kind: str) -> None:
    image = in_memory_image(SAME[kind]())
    assert image is not None
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), VALUES)
    decimals = 5 if kind == "mgh" else 12  # its header has no double precision
    np.testing.assert_array_almost_equal(image.affine, AFFINE, decimals)


@pytest.mark.parametrize(
    ("given", "stored"), [(bool, np.uint8), (np.float16, np.float32), (np.int64, np.int64), (np.longdouble, np.float64)]
)
def test_types_that_nifti_has_not_become_the_next(given: type, stored: type) -> None:
    image = in_memory_image((np.ones((2, 2, 2), given), AFFINE))
    assert image is not None
    assert image.get_data_dtype() == stored
    assert np.asanyarray(image.dataobj).sum() == 8


def test_lengths_of_an_image_in_metres_become_mm() -> None:
    image = nib.Nifti1Image(VALUES, np.diag([0.001, 0.001, 0.002, 1]))
    image.header.set_xyzt_units("meter")
    converted = in_memory_image(image)
    assert converted is not None
    np.testing.assert_allclose(converted.affine, np.diag([1, 1, 2, 1]))


WRONG = {
    "pred: an array without its affine; give (array, affine)": lambda: VALUES,
    "pred: no volume (list); give a file,": lambda: [VALUES, AFFINE],
    r"pred: not (X, Y, Z) or (C, X, Y, Z) (shape (4, 5)); give one": lambda: (VALUES[0], AFFINE),
    "pred: (X, Y, Z, C), or fewer slices than channels (shape (3, 4, 5, 2)); give (C, X, Y, Z)": lambda: (
        np.stack([VALUES, VALUES], -1),
        AFFINE,
    ),
    "pred: masked voxels have no value (numpy.ma); give array.filled(VALUE)": lambda: (
        np.ma.masked_less(VALUES, VALUES.max()),
        AFFINE,
    ),
    "pred: the affine is not (4, 4) (shape (3, 3)); give": lambda: (VALUES, AFFINE[:3, :3]),
    "pred: the affine is not finite and invertible ([0 0 0 0": lambda: (VALUES, np.zeros((4, 4))),
    "pred: voxels are not real numbers (complex64); give": lambda: (VALUES.astype(np.complex64), AFFINE),
    "pred: the image has no affine; give one": lambda: nib.Nifti1Image(VALUES, None),
    "pred: not a 3-D volume with 1 channel of real numbers (2 dimensions, 1 channels)": lambda: _sitk_slice(),
}


def _sitk_slice() -> Any:
    return pytest.importorskip("SimpleITK").GetImageFromArray(VALUES[0])


@pytest.mark.parametrize("message", WRONG)
def test_what_is_no_volume_is_refused(message: str) -> None:
    with pytest.raises(VolumeError) as error:
        in_memory_image(WRONG[message](), "pred")
    assert str(error.value).startswith(message)


def test_other_libraries_stay_unimported() -> None:
    """An image of one library needs no other."""
    program = """
import sys
import numpy as np
from medical_image_synthesis.volumes import in_memory_image
assert "nibabel" not in sys.modules
import nibabel as nib
from medical_image_synthesis.volumes import as_volume
as_volume((np.zeros((2, 2, 2)), np.eye(4)))
as_volume(nib.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)))
print([name for name in ("torch", "monai", "SimpleITK") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_unit_of_a_file_is_in_its_json_file(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "ct.nii.gz")
    (tmp_path / "ct.json").write_text('{"Unit": "HU"}')
    assert as_volume(str(tmp_path / "ct.nii.gz")).unit == "HU"


def test_a_series_has_its_unit(tmp_path: Path) -> None:
    grid = Grid((8, 6, 4), (2.0, 2.0, 3.0))
    values = np.arange(8 * 6 * 4, dtype=float).reshape(8, 6, 4) - 1000
    write_series(tmp_path / "series", grid, "CT", 1, -1000, values=values)
    volume = as_volume(tmp_path / "series")
    assert (volume.unit, volume.name, float(volume.array.sum())) == ("HU", "series", float(values.sum()))
    assert repr(volume) == "<volume series: 8 x 6 x 4, HU>", "no values"


def test_channels_come_first_and_go_last() -> None:
    volume = as_volume(nib.Nifti1Image(np.stack([VALUES, VALUES + 100], -1), AFFINE))
    assert volume.array.shape == (2, 3, 4, 5)
    assert volume.array[1, 2, 3, 4] == 159
    assert volume.to_nibabel().shape == (3, 4, 5, 2)


def test_padding_of_a_ct_in_memory_becomes_air() -> None:
    values = np.full((6, 6, 6), -3024, np.int16)
    values[1:5, 1:5, 1:5] = -900
    values[2:4, 2:4, 2:4] = 60
    assert as_volume((values, AFFINE)).array.min() == -1000
    assert values.min() == -3024, "the caller's own array stays"


@pytest.mark.parametrize(
    ("values", "affine", "message"),
    [
        (np.full((2, 2, 2), np.inf), AFFINE, "volume: voxels are not finite (8 NaN or Inf of 8 voxels); repair"),
        (np.full((2, 2, 2), 1e39), AFFINE, "volume: values do not fit float32 (1e+39); rescale them"),
        (VALUES, np.diag([1e-3, 1e-3, 1e-3, 1]), "volume: no scan has this size (0.003 x 0.004 x 0.005 mm); check"),
    ],
)
def test_volumes_in_memory_have_the_checks_of_files(values: np.ndarray, affine: np.ndarray, message: str) -> None:
    with pytest.raises(VolumeError) as error:
        as_volume((values, affine))
    assert str(error.value).startswith(message)
    if not np.isfinite(values).all():
        assert as_volume((values, affine), reader=VolumeReader(nan_fill=3)).array.sum() == 24


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_what_is_saved_is_read_back(ending: str, tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    path = as_volume((VALUES, AFFINE)).save(tmp_path / "new" / f"case{ending}")
    back = as_volume(path)
    np.testing.assert_array_equal(back.array, VALUES)
    np.testing.assert_allclose(back.affine, AFFINE, atol=1e-5)
    with pytest.raises(OutputError, match="already exists: pass overwrite=True, or another path"):
        back.save(path)
    back.save(path, overwrite=True)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"case.png has the ending of no volume: choose .nii.gz, .nii,"):
        as_volume((VALUES, AFFINE)).save(tmp_path / "case.png")

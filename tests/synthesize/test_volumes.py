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
from monai.data import MetaTensor

from common.errors import VolumeError
from medical_image_synthesis.volumes import in_memory_image

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


def test_paths_are_left_to_the_reader(tmp_path: Path) -> None:
    assert in_memory_image("T1.nii.gz") is None
    assert in_memory_image(tmp_path) is None


def test_channels_come_last_in_the_image() -> None:
    image = in_memory_image((np.stack([VALUES, VALUES + 100]), AFFINE))
    assert image is not None
    assert image.shape == (3, 4, 5, 2)
    assert image.dataobj[2, 3, 4, 1] == 159


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
in_memory_image((np.zeros((2, 2, 2)), np.eye(4)))
print([name for name in ("torch", "monai", "SimpleITK") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

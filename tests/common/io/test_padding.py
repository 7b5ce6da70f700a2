"""Padding of a CT becomes air before anything interpolates; noise, cavities and other modalities stay."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_phantom import Grid, write_series

from common.errors import Finding
from common.io import VolumeReader
from common.io.padding import padding_to_air
from common.registration.inputs import Registration, read_case

SHAPE = (20, 22, 12)
PLACES = np.ogrid[tuple(slice(n) for n in SHAPE)]
CIRCLE = np.broadcast_to((PLACES[0] - 9.5) ** 2 + (PLACES[1] - 10.5) ** 2 < 81, SHAPE)
BODY = np.broadcast_to((PLACES[0] - 9.5) ** 2 + (PLACES[1] - 10.5) ** 2 < 36, SHAPE)


def ct(outside: float = -3024.0, noise: float = 0.0) -> np.ndarray:
    """Soft tissue in air within the circle of the scanner, and beyond it a value of padding."""
    values = np.where(BODY, 40.0, -1000.0) + np.random.default_rng(0).normal(0, noise, SHAPE)
    return np.where(CIRCLE, values, outside).astype(np.float32)


def where(*finding: str) -> Finding:
    return Finding("a", "ct", *finding)


def save(path: Path, values: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)
    return path


@pytest.mark.parametrize("outside", [-1500, -2000, -3024, -32768])
@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.mha"])
def test_padding_of_a_file_is_air(tmp_path: Path, outside: float, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    if name == "ct.mha":
        pytest.importorskip("SimpleITK")
        from common.io.itk_files import write_itk

        write_itk(ct(outside), np.diag([2.0, 2, 2, 1]), str(tmp_path / name), "int16", {})
    else:
        save(tmp_path / name, ct(outside))
    np.testing.assert_array_equal(VolumeReader().read(tmp_path / name, "a").values, ct(-1000))
    count = np.count_nonzero(~CIRCLE)
    assert caplog.messages == [f"a ({name}): voxels of padding below -1100 HU ({count} of 5280); read as -1000"]


def test_the_rim_of_padding_that_was_resampled_goes_and_what_is_not_connected_to_the_border_stays() -> None:
    values = ct()
    values[0] = -1500  # between padding and air
    values[9:11, 10:12, 5:7] = -3024  # beside metal
    padding_to_air(values, where)
    assert np.count_nonzero(values < -1000) == np.count_nonzero(values == -3024) == 8
    assert values[~CIRCLE].max() == values[~CIRCLE].min() == -1000


def test_noise_of_air_is_none() -> None:
    """With a deviation of 80 HU every tenth voxel of air lies below -1100."""
    values = ct(noise=80.0)
    values[~CIRCLE] = np.random.default_rng(1).normal(-1000, 80, SHAPE)[~CIRCLE]
    before = values.copy()
    padding_to_air(values, where, is_ct=True)
    assert (before < -1100).mean() > 0.05
    np.testing.assert_array_equal(values, before)


def test_an_mr_with_such_a_background_keeps_it(tmp_path: Path) -> None:
    values = np.where(CIRCLE, np.where(BODY, 800, 20), -32768).astype(np.float32)
    path = save(tmp_path / "mr.nii.gz", values)
    np.testing.assert_array_equal(VolumeReader().check(path, "a").values, values)
    np.testing.assert_array_equal(VolumeReader().read(save(path, ct()), "a", modality="MR").values, ct())


def test_a_ct_of_a_brain_alone_is_one_by_its_header_or_by_name(tmp_path: Path) -> None:
    """Its values, from 0 on, do not say so."""
    brain = np.where(BODY, 40, -3024).astype(np.float32)
    brain[9, 10] = 900  # calcified
    path = save(tmp_path / "ct.nii.gz", brain)
    assert VolumeReader().check(path, "a").values.min() == -3024
    assert VolumeReader().read(path, "a", modality="CT").values.min() == -1000
    mr = save(tmp_path / "mr.nii.gz", np.arange(5280, dtype=np.float32).reshape(SHAPE))
    item = {"case": "a", "image": str(mr), "label": str(path)}
    scans = read_case(item, Registration(("mr",), "ct", ct=("ct",)), VolumeReader()).scans
    assert (scans["ct"].values.min(), scans["ct"].values.max()) == (-1000, 900)


def test_padding_that_no_element_names_does_not_bleed_into_a_tilted_ct(tmp_path: Path) -> None:
    """The same slices with and without PixelPaddingValue (-3024 HU is 0 stored), 3 mm high and moved by .8 mm each."""
    grid = Grid(shape=SHAPE, spacing=(2.0, 2.0, 3.0), step=(0.0, 0.8, 3.0))
    for name in ("tagged", "untagged"):

        def change(header: object, number: int, name: str = name) -> None:
            if name == "tagged":
                header.add_new("PixelPaddingValue", "US", 0)  # type: ignore[attr-defined]

        write_series(tmp_path / name, grid, slope=1, intercept=-3024, change=change, values=ct())
    read = [VolumeReader(resample_tilt=True).check(tmp_path / name, "a").values for name in ("tagged", "untagged")]
    np.testing.assert_array_equal(*read)
    assert (read[1].min(), read[1].max()) == (-1000, 40)

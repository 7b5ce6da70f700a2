"""Copies of a source: the same voxels at the same places of the world, whatever reads them, and the way back."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from tools.checks.metamorphic.copies import BASE, COPIES, STILL, Copy, back, stored, write_copies
from tools.checks.metamorphic.sources import SHAPE, Channel, base_affine, channels_of

SMALL = Channel("mr", np.arange(24, dtype=np.float32).reshape(2, 3, 4), 1.0)
MARKS = [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3), (1, 2, 3)]


def named(name: str) -> Copy:
    (found,) = [copy for copy in COPIES if copy.name == name]
    return found


def value_at(values: np.ndarray, affine: np.ndarray, place: np.ndarray) -> float:
    """The value at a place of the world, by interpolation between all voxels."""
    index = np.linalg.solve(affine, place)[:3]
    return float(ndimage.map_coordinates(values, index[:, None], order=1, mode="nearest")[0])


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.case)
def test_each_voxel_keeps_its_place_in_the_copys_world(copy: Copy) -> None:
    channel, affine = stored(copy, SMALL)
    for mark in MARKS:
        place = copy.world @ base_affine() @ [*mark, 1]
        assert value_at(channel.values, affine, place) == pytest.approx(SMALL.values[mark], abs=1e-4)


def test_axes_and_flips_are_those_of_storage() -> None:
    channel, _ = stored(Copy("test", (2, 0, 1), (0,)), SMALL)
    assert channel.values.shape == (4, 2, 3)
    assert channel.values[0].tolist() == SMALL.values[:, :, 3].tolist()


def test_copies_turn_by_less_than_45_degrees_and_have_names_of_their_own() -> None:
    axes = nib.aff2axcodes(base_affine())
    assert axes == ("R", "A", "S")
    assert {nib.aff2axcodes(copy.world @ base_affine()) for copy in COPIES} == {axes}
    assert len({copy.case for copy in COPIES}) == len(COPIES)


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine to RAS by other libraries than the project's readers."""
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    elif path.suffix in (".nrrd", ".mha"):
        image = sitk.ReadImage(str(path))
    else:
        file = nib.load(path)
        return file.get_fdata(), file.affine
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T.astype(float), np.diag([-1.0, -1, 1, 1]) @ affine


@pytest.mark.parametrize(("modality", "window"), [("CT", None), ("MR", [[0, 3.5]])])
def test_other_libraries_find_the_source_in_every_copy(tmp_path: Path, modality: str, window: list | None) -> None:
    (channel,) = channels_of(["scan"], modality, window, (9, 8, 7))
    write_copies(COPIES, [channel], tmp_path)
    kinds = set()
    for copy in COPIES:
        (path,) = (tmp_path / copy.case).iterdir()
        values, affine = read(path)
        values, places = back(values, affine, (9, 8, 7), copy.world @ base_affine())
        assert np.array_equal(values, channel.values), copy.name
        assert places < 1e-4, copy.name
        kinds.add("".join(path.suffixes) or "series")
    assert kinds == {".nii", ".nii.gz", ".nrrd", ".mha", "series"}


def test_files_are_stored_as_their_names_say(tmp_path: Path) -> None:
    (channel,) = channels_of(["mr"], "MR", [[0, 3.5]], (9, 8, 7))
    write_copies(COPIES, [channel], tmp_path)
    assert nib.load(tmp_path / "big-endian" / "mr.nii").get_data_dtype().byteorder == ">"
    integers = nib.load(tmp_path / "integers_with_slope" / "mr.nii.gz")
    assert integers.get_data_dtype() == np.int16
    assert (integers.dataobj.slope, integers.dataobj.inter) == (channel.step, -256 * channel.step)
    header = nib.load(tmp_path / "qform_alone" / "mr.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 1)
    first = pydicom.dcmread(next((tmp_path / "DICOM_series" / "mr").iterdir()))
    assert float(first.RescaleSlope) == channel.step == 2.0**-9


def test_a_source_has_no_side_like_another() -> None:
    for modality in ("CT", "MR"):
        (channel,) = channels_of(["scan"], modality, None)
        assert channel.values.shape == SHAPE
        for axis in range(3):
            assert np.abs(channel.values - np.flip(channel.values, axis)).mean() > 0.1 * channel.values.std()


# ---- inverse transforms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.case)
def test_a_copy_is_turned_back_by_its_affine(copy: Copy) -> None:
    channel, affine = stored(copy, SMALL)
    values, places = back(channel.values, affine, (2, 3, 4), copy.world @ base_affine())
    assert np.array_equal(values, SMALL.values)
    assert places < 1e-9


def test_values_that_did_not_follow_their_affine_are_found() -> None:
    channel, affine = stored(named("first axis flipped"), SMALL)
    values, _ = back(channel.values[::-1], affine, (2, 3, 4), base_affine())
    assert not np.array_equal(values, SMALL.values)


@pytest.mark.parametrize("moved", [0.5, 1.0, -1.0])
def test_voxels_in_another_place_are_found(moved: float) -> None:
    affine = base_affine()
    affine[:3, 3] += moved * affine[:3, 1]
    values, places = back(SMALL.values, affine, (2, 3, 4), base_affine())
    assert np.array_equal(values, SMALL.values)
    assert places == pytest.approx(abs(moved))


def test_other_axes_and_other_shapes_are_refused() -> None:
    skewed = base_affine() @ np.array([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(ValueError, match="are no permutation of those of"):
        back(SMALL.values, skewed, (2, 3, 4), base_affine())
    with pytest.raises(ValueError, match=r"the shape \(2, 3, 3\) is not \(2, 3, 4\)"):
        back(SMALL.values[:, :, 1:], base_affine(), (2, 3, 4), base_affine())


def test_the_source_itself_comes_first() -> None:
    assert COPIES[0] is BASE
    assert (BASE.axes, BASE.flips) == ((0, 1, 2), ())
    assert BASE.world is STILL

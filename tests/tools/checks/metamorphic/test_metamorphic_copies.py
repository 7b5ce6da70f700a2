"""Copies of a source: the same voxels at the same places of the world, whatever reads them, and the way back."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from tools.checks.metamorphic.copies import COPIES, Copy, back, stored, write_copies
from tools.checks.metamorphic.sources import Channel, base_affine, channels_of

SMALL = Channel("mr", np.arange(24, dtype=np.float32).reshape(2, 3, 4), 1.0)


def named(name: str) -> Copy:
    (found,) = [copy for copy in COPIES if copy.name == name]
    return found


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


# ---- inverse transforms ---------------------------------------------------------------------------------------------


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

"""Volumes from files: their grids, their channels, and what is brought onto another grid."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from common.case_keys import REGIONS
from common.errors import DataError
from common.io import VolumeReader
from common.transforms import LoadVolumed

LPS = np.diag([-1.0, -1, 1, 1])


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> str:
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return str(path)


def test_values_affine_and_origin(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = save(tmp_path / "a.nii.gz", values, LPS)
    image = LoadVolumed(["image", "label"])({"image": path})["image"]
    assert image.dtype == torch.float32
    np.testing.assert_array_equal(image.array, values[None])
    np.testing.assert_array_equal(image.affine, LPS)
    np.testing.assert_array_equal(image.meta["original_affine"], LPS)
    assert image.meta["filename_or_obj"] == path
    with pytest.raises(KeyError, match="label"):
        LoadVolumed("label", allow_missing_keys=False)({})


def test_grid_mismatch_names_case_and_file(tmp_path):
    first = save(tmp_path / "t1.nii", np.ones((2, 3, 4), np.float32))
    moved = np.eye(4)
    moved[0, 3] = 0.2
    for name, shape, affine in (("shape.nii", (2, 3, 5), np.eye(4)), ("moved.nii", (2, 3, 4), moved)):
        second = save(tmp_path / name, np.ones(shape, np.float32), affine)
        shape_shown = re.escape(str(shape))
        message = rf"case_7: .*{name} has shape {shape_shown}, affine .*, the first channel shape \(2, 3, 4\), affine"
        with pytest.raises(DataError, match=message):
            LoadVolumed("image")({"image": [first, second], "case": "case_7"})


def test_nan_is_refused_unless_filled(tmp_path):
    path = save(tmp_path / "a.nii", np.array([1, np.nan, np.inf, -np.inf], np.float32).reshape(4, 1, 1))
    with pytest.raises(DataError, match="3 NaN or Inf of 4 voxels"):
        LoadVolumed("image")({"image": path, "case": "a"})
    filled = LoadVolumed("image", VolumeReader(nan_fill=-5))({"image": path})["image"]
    assert filled.flatten().tolist() == [1, -5, -5, -5]


def test_a_file_of_several_channels_is_the_same_as_one_file_each_in_the_order_given(tmp_path):
    maps = np.random.default_rng(0).normal(size=(3, 4, 5, 2)).astype(np.float32)
    together = save(tmp_path / "maps.nii.gz", maps, LPS)
    apart = [save(tmp_path / f"{name}.nii.gz", maps[..., n], LPS) for n, name in enumerate("ba")]
    load = LoadVolumed(["image", "label"], VolumeReader(channels=2))
    label = save(tmp_path / "pet.nii.gz", maps[..., 0], LPS)
    one, several = (load({"image": image, "label": label}) for image in (together, apart))
    np.testing.assert_array_equal(one["image"].array, np.moveaxis(maps, 3, 0))
    np.testing.assert_array_equal(several["image"].array, one["image"].array)
    np.testing.assert_array_equal(several["image"].affine, one["image"].affine)
    assert one["image"].meta["spatial_shape"] == several["image"].meta["spatial_shape"] == (3, 4, 5)
    assert one["label"].shape == (1, 3, 4, 5)


def test_channels_are_those_of_the_image_and_as_many_as_declared(tmp_path):
    path = save(tmp_path / "maps.nii.gz", np.random.default_rng(0).normal(size=(3, 4, 5, 2)))
    for load, item in (
        (LoadVolumed("image"), {"image": path}),
        (LoadVolumed("label", VolumeReader(channels=2)), {"label": path}),
        (LoadVolumed("image", VolumeReader(channels=2)), {"image": [path, path]}),
    ):
        with pytest.raises(DataError, match=r"length of the fourth dimension \(2 instead of 1"):
            load(item)
    with pytest.raises(DataError, match=r"length of the fourth dimension \(2 instead of 3"):
        LoadVolumed("image", VolumeReader(channels=3))({"image": path})


def along_x(spacing: float, offset: float) -> np.ndarray:
    affine = np.diag([spacing, 1.0, 1, 1])
    affine[0, 3] = offset
    return affine


def line(*values: float) -> np.ndarray:
    """A volume that varies along its first axis alone."""
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (len(values), 3, 2)).copy()


def values_along_x(volume: np.ndarray) -> list[float]:
    assert (volume == volume[:, :1, :1]).all()
    return volume[:, 0, 0].tolist()


FIRST = line(*range(8))


def onto_first(folder: Path, key: str, values: np.ndarray, affine: np.ndarray, **settings) -> np.ndarray:
    """What a second file becomes beside an image of 8 voxels of 1 mm along x."""
    paths = [save(folder / "mr.nii.gz", FIRST), save(folder / f"{key}.nii.gz", values, affine)]
    item = {"image": paths} if key == "image" else {"image": paths[0], key: paths[1]}
    loaded = LoadVolumed(["image", key] if key != "image" else key, VolumeReader(resample=True, **settings))(
        {**item, "case": "c7"}
    )
    np.testing.assert_array_equal(loaded[key].affine, np.eye(4))
    np.testing.assert_array_equal(loaded["image"].array[0], FIRST)
    assert loaded[key].applied_operations == []
    return loaded[key].array[-1]


@pytest.mark.parametrize("key", ["image", "label"])
def test_a_coarser_volume_is_resampled_linearly(tmp_path, key):
    # voxels of 2 mm at x = 0.5, 2.5, 4.5, 6.5 hold 10 x: between centres the line, beyond the outer ones their value
    result = onto_first(tmp_path, key, line(5, 25, 45, 65), along_x(2, 0.5))
    assert values_along_x(result) == pytest.approx([5, 10, 20, 30, 40, 50, 60, 65], abs=1e-5)


def test_a_shifted_volume_has_its_minimum_outside_its_view(tmp_path):
    # voxel i at x = i + 2.5 holds 20 - i; the view begins at x = 2, inclusive
    result = onto_first(tmp_path, "image", line(*range(20, 12, -1)), along_x(1, 2.5))
    assert values_along_x(result) == pytest.approx([13, 13, 20, 19.5, 18.5, 17.5, 16.5, 15.5], abs=1e-5)


@pytest.mark.parametrize("key", ["mask", *REGIONS])
def test_masks_take_the_nearest_voxel_and_are_0_outside_their_view(tmp_path, key):
    assert values_along_x(onto_first(tmp_path, key, line(0, 3, 1, 0), along_x(2, 0.5))) == [0, 0, 3, 3, 1, 1, 0, 0]
    assert values_along_x(onto_first(tmp_path, key, line(1, 1, 1, 1), along_x(1, 3))) == [0, 0, 0, 1, 1, 1, 1, 0]


def test_any_orientation_is_resampled_to_the_right_places(tmp_path):
    # a function linear in millimetres has on any grid the value of its place
    slope = np.array([3.0, -2, 1.5, 40])
    first = np.array([[-1.5, 0.2, 0, 12], [0.3, 1.5, 0, -9], [0, 0, 2, 4], [0, 0, 0, 1]])
    second = np.array([[0, 0, 1.1, -14], [1.3, 0, 0.1, -16], [0, 1.7, 0, -6], [0, 0, 0, 1]])

    def linear(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
        index = np.stack([*np.indices(shape), np.ones(shape)], -1)
        return (index @ affine.T @ slope).astype(np.float32)

    paths = [save(tmp_path / "a.nii", linear((12, 13, 8), first), first)]
    paths.append(save(tmp_path / "b.nii", linear((28, 22, 32), second), second))
    image = LoadVolumed("image", VolumeReader(resample=True))({"image": paths})["image"]
    np.testing.assert_array_equal(image.affine, first.astype(np.float32))
    np.testing.assert_allclose(image.array[1], image.array[0], atol=1e-3)


def test_channels_of_one_file_give_the_grid_and_each_is_kept(tmp_path):
    maps = np.stack([FIRST, FIRST + 100], axis=-1)
    item = {
        "image": save(tmp_path / "maps.nii", maps),
        "label": save(tmp_path / "pet.nii", line(5, 25, 45, 65), along_x(2, 0.5)),
    }
    loaded = LoadVolumed(["image", "label"], VolumeReader(channels=2, resample=True))(item)
    np.testing.assert_array_equal(loaded["image"].array, np.moveaxis(maps, 3, 0))
    assert loaded["label"].shape == (1, 8, 3, 2)
    assert loaded["label"][0, 3, 0, 0] == pytest.approx(30)


def test_without_an_image_the_label_gives_the_grid(tmp_path):
    item = {
        "label": save(tmp_path / "ct.nii", FIRST),
        "mask": save(tmp_path / "mask.nii", line(0, 1, 1, 0), along_x(2, 0.5)),
    }
    loaded = LoadVolumed(["image", "label", "mask"], VolumeReader(resample=True))(item)
    np.testing.assert_array_equal(loaded["label"].array[0], FIRST)
    assert values_along_x(loaded["mask"].array[0]) == [0, 0, 1, 1, 1, 1, 0, 0]


def test_what_was_resampled_is_logged_with_both_grids(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        onto_first(tmp_path, "label", line(5, 25, 45, 65), along_x(2, 0.5))
        onto_first(tmp_path, "mask", line(0, 1, 1, 0), along_x(2, 0.5))
    tail = (
        "from shape (4, 3, 2), affine [2 0 0 0.5; 0 1 0 0; 0 0 1 0] to shape (8, 3, 2), affine [1 0 0 0; 0 1 0 0; "
        "0 0 1 0]"
    )
    assert caplog.messages == [
        f"c7: {tmp_path / 'label.nii.gz'}: resampled (linear) {tail}",
        f"c7: {tmp_path / 'mask.nii.gz'}: resampled (nearest) {tail}",
    ]


def test_on_one_grid_within_the_tolerance_nothing_is_resampled(tmp_path, caplog):
    noise = np.random.default_rng(0).normal(size=FIRST.shape).astype(np.float32)
    near = along_x(1, 0.05)  # mm, under the 0.1 mm that the data check accepts
    paths = [save(tmp_path / "mr.nii", FIRST), save(tmp_path / "fa.nii", noise, near)]
    item = {"image": paths, "label": paths[1]}
    plain, asked = (LoadVolumed(["image", "label"], VolumeReader(resample=flag))(item) for flag in (False, True))
    for key in ("image", "label"):
        np.testing.assert_array_equal(asked[key].array, plain[key].array)
        np.testing.assert_array_equal(asked[key].affine, plain[key].affine)
    np.testing.assert_array_equal(asked["label"].array[0], noise)
    assert caplog.messages == []


@pytest.mark.parametrize("key", ["image", "lesion"])
def test_less_than_half_of_the_view_is_an_error(tmp_path, key):
    values = line(*range(1, 9))
    onto_first(tmp_path, key, values, along_x(1, 4))  # covers x = 4 to 7, half of 0 to 7
    message = (
        rf"c7: .*{key}.nii.gz covers 38%, less than 50%, of the grid to resample to, shape \(8, 3, 2\), affine "
        r"\[1 0 0 0; .*\], with shape \(8, 3, 2\), affine \[1 0 0 5; .*\]: fix its affine, or exclude"
    )
    with pytest.raises(DataError, match=message):
        onto_first(tmp_path, key, values, along_x(1, 5))

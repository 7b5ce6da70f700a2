"""The working spacing, and that it is undone."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import Compose, Invertd, Orientationd
from scipy import ndimage
from scipy.spatial.transform import Rotation

from common.errors import ConfigError, DataError
from common.transforms import WorkingSpacingd

SHEARED = np.array([[2.0, 0.5, 0, -9], [0, 2.0, 0, -12], [0, 0.3, 2.5, 7], [0, 0, 0, 1]])
OBLIQUE = np.array([[-1.8, 0.4, 0, 30], [0.36, 2.0, 0, -20], [0, 0, 2.5, -11], [0, 0, 0, 1]])


def smooth(shape: tuple[int, int, int]) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=shape)
    return (100 * ndimage.gaussian_filter(values, 2.5, mode="nearest")).astype(np.float32)


def through(image: MetaTensor, *steps) -> tuple[MetaTensor, MetaTensor]:
    """What the network would see, and that after the inversion."""
    preprocessing = Compose([Orientationd("image", axcodes="RAS", labels=None), *steps])
    batch = list_data_collate([preprocessing({"image": image.clone()})])
    batch["pred"] = batch["image"].clone()
    item = decollate_batch(batch)[0]
    return item["image"], Invertd("pred", preprocessing, orig_keys="image", nearest_interp=False)(item)["pred"]


def test_resamples_to_the_spacing():
    # a ramp of 3 per voxel of 2 mm is 1.5 per voxel of 1 mm; 11 voxels span 20 mm, so 21 of 1 mm
    ramp = 3 * torch.arange(11.0).reshape(1, 11, 1, 1).expand(1, 11, 4, 4)
    image = MetaTensor(ramp.clone(), affine=torch.diag(torch.tensor([2.0, 1, 1, 1])))
    item = {"image": image, "image_path": "/data/a.nii.gz", "case": "a"}
    found = WorkingSpacingd(["image", "label"], spacing=[1.0, 1.0, 1.0], allow_missing_keys=True)(item)
    assert (found.keys(), found["image_path"]) == (item.keys(), "/data/a.nii.gz")
    result = found["image"]
    assert result.shape == (1, 21, 4, 4)
    np.testing.assert_allclose(result[0, :, 0, 0], 1.5 * np.arange(21), atol=1e-4)
    np.testing.assert_allclose(np.diag(result.affine), [1, 1, 1, 1])
    with pytest.raises(ConfigError, match=r"spacing is \[2, 2\], not three numbers in mm, or one for all axes: pass"):
        WorkingSpacingd("image", spacing=[2, 2])


def test_the_inversion_is_linear_between_voxels_and_constant_beyond_them():
    own = MetaTensor(torch.from_numpy(smooth((9, 8, 7)))[None].float(), affine=torch.diag(torch.tensor([2.0, 1, 3, 1])))
    seen, restored = through(own, WorkingSpacingd("image", spacing=[3.0, 3.0, 2.0]))
    assert seen.shape[1:] == (6, 3, 10)  # 8, 7, 6 steps of 2, 1, 3 mm are 16, 7, 18 mm
    places = np.stack(np.meshgrid(np.arange(9) * 2 / 3, np.arange(8) / 3, np.arange(7) * 1.5, indexing="ij"))
    expected = ndimage.map_coordinates(seen.numpy()[0].astype(float), places, order=1, mode="nearest")
    np.testing.assert_allclose(restored.numpy()[0], expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize("affine", [np.diag([2.0, 2, 3, 1]), np.diag([-2.0, 2, 3, 1]), OBLIQUE, SHEARED])
def test_inversion_restores_grid_and_values(affine):
    own = MetaTensor(torch.from_numpy(smooth((20, 22, 18)))[None], affine=torch.from_numpy(affine))
    seen, restored = through(own, WorkingSpacingd("image", spacing=[1.5, 1.5, 1.5]))
    np.testing.assert_allclose(nib.affines.voxel_sizes(seen.affine.numpy()), 1.5, atol=1e-6)
    assert restored.shape == own.shape
    np.testing.assert_allclose(restored.affine, affine, atol=1e-6)
    inner = (0, *[slice(4, -4)] * 3)
    error = np.abs(restored.array[inner] - own.array[inner])
    assert error.max() < 0.1 * np.ptp(own.array)
    assert error.mean() < 0.01 * np.ptp(own.array)


@pytest.mark.parametrize("affine", [SHEARED, SHEARED @ np.diag([-1.0, 1, 1, 1])])
def test_without_spacing_a_sheared_grid_is_refused(affine):
    image = MetaTensor(torch.ones(1, 3, 4, 5), affine=torch.from_numpy(affine))
    with pytest.raises(DataError, match="a: image has axes that are not at right angles, affine .*: give --spacing"):
        WorkingSpacingd("image", spacing=None)({"image": image, "case": "a"})


@pytest.mark.parametrize("affine", [OBLIQUE, OBLIQUE @ np.diag([-1.0, 1, 1, 1])])
def test_without_spacing_any_grid_comes_back_to_the_bit_and_the_object_is_left_alone(affine):
    own = MetaTensor(torch.from_numpy(smooth((5, 6, 7)))[None], affine=torch.from_numpy(affine))
    step = WorkingSpacingd(["image", "label"], spacing=None)
    _, restored = through(own, step)
    np.testing.assert_array_equal(restored.array, own.array)
    np.testing.assert_allclose(restored.affine, affine, rtol=0, atol=1e-12)
    assert step({"image": own})["image"] is step.inverse({"image": own})["image"] is own
    assert own.applied_operations == []


def test_a_sheared_grid_is_resampled_to_the_right_places_and_every_corner_of_it_is_covered():
    # A function linear in world coordinates has on any grid the value of its place.
    slope = np.array([3.0, -2, 1.5, 40])
    index = np.stack([*np.indices((12, 12, 12)), np.ones((12, 12, 12))], -1)
    own = MetaTensor(torch.from_numpy((index @ SHEARED.T @ slope).astype(np.float32))[None], affine=SHEARED)
    seen, _ = through(own, WorkingSpacingd("image", spacing=[2.0, 2.0, 2.0]))
    places = np.stack([*np.indices(seen.shape[1:]), np.ones(seen.shape[1:])], -1) @ seen.affine.numpy().T
    voxels = places @ np.linalg.inv(SHEARED).T
    inside = ((voxels[..., :3] >= 0) & (voxels[..., :3] <= 11)).all(-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(seen.array[0][inside], (places @ slope)[inside], atol=0.01)
    corners = index[::11, ::11, ::11].reshape(-1, 4) @ SHEARED.T @ np.linalg.inv(seen.affine.numpy()).T
    assert (corners[:, :3] > -0.51).all()
    assert (corners[:, :3] < np.array(seen.shape[1:]) - 0.49).all()


def test_an_oblique_volume_is_resampled_as_the_same_one_that_is_straight():
    """Its affine is that of a NIfTI header, in float32; compared with scipy's linear interpolation of the voxels."""
    values, spacing = smooth((20, 26, 12)), np.array([1.9, 1.4, 2.6])
    places = [np.arange(n) * 2 / d for n, d in zip((19, 18, 15), spacing, strict=True)]
    index = np.meshgrid(*places, indexing="ij")
    expected = ndimage.map_coordinates(values.astype(float), index, order=1, mode="nearest")
    there = [np.arange(n) * d / 2 for n, d in zip(values.shape, spacing, strict=True)]
    returned = ndimage.map_coordinates(expected, np.meshgrid(*there, indexing="ij"), order=1, mode="nearest")
    lost = np.abs(returned - values).mean()
    assert lost > 0.1, "interpolation there and back is not without loss"
    for angles in ((0, 0, 0), (0, 0, 10), (15, 20, 0), (12, -9, 17), (-30, 5, 20)):
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
        affine[:3, 3] = (11.3, -720.7, 33.1)
        affine = affine.astype(np.float32).astype(float)
        own = MetaTensor(torch.from_numpy(values)[None], affine=torch.from_numpy(affine))
        seen, restored = through(own, WorkingSpacingd("image", spacing=[2.0, 2.0, 2.0]))
        np.testing.assert_allclose(seen.array[0], expected, atol=1e-3)
        np.testing.assert_allclose(restored.array[0], returned, atol=1e-3)


def test_a_mode_belongs_to_its_key_whichever_others_are_missing():
    mask = torch.zeros(1, 9, 9, 9)
    mask[0, 4, 4, 4] = 1
    step = WorkingSpacingd(
        ["image", "label", "mask"], [0.75] * 3, mode=["bilinear", "bilinear", "nearest"], allow_missing_keys=True
    )
    item = step({"image": MetaTensor(mask.clone()), "mask": MetaTensor(mask.clone())})
    assert set(item["mask"].unique().tolist()) == {0, 1}
    assert 0 < item["image"].max() <= 1
    assert len(item["image"].unique()) > 2

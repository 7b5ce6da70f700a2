"""Intensities, masks and grids of the preprocessing, and that each step is undone where it must be."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import Compose, Invertd, Orientationd
from scipy import ndimage

from common.errors import ConfigError, DataError
from common.transforms import HeadMaskd, LoadVolumed, ScaleWindowd, ToUnitd, WorkingSpacingd, head_mask

LPS = np.diag([-1.0, -1, 1, 1])
SHEARED = np.array([[2.0, 0.5, 0, -9], [0, 2.0, 0, -12], [0, 0.3, 2.5, 7], [0, 0, 0, 1]])
OBLIQUE = np.array([[-1.8, 0.4, 0, 30], [0.36, 2.0, 0, -20], [0, 0, 2.5, -11], [0, 0, 0, 1]])


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> str:
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return str(path)


def channel(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


def scaled(image: torch.Tensor, **settings) -> torch.Tensor:
    return ScaleWindowd("image", **settings)({"image": image})["image"]


class TestScaleWindow:
    def test_window_by_hand(self):
        # [-600, 1400] is 2000 wide: (v + 600) / 2000 * 2 - 1
        image = channel(-600, 1400, 400, -100)
        assert scaled(image, window=[-600, 1400]).flatten().tolist() == pytest.approx([-1, 1, 0, -0.5])

    def test_clipping(self):
        image = channel(-1600, 2400)
        assert scaled(image, window=[-600, 1400]).flatten().tolist() == [-1, 1]
        assert scaled(image, window=[-600, 1400], clip=False).flatten().tolist() == pytest.approx([-2, 2])

    def test_percentiles_ignore_the_background_and_follow_each_image(self):
        # foreground 1 ... 101 has percentiles 10 -> 11 and 90 -> 91 whatever the number of zeros; twice as bright, same
        image = channel(*[0.0] * 500, *np.arange(1.0, 102))
        result = scaled(image, percentiles=[10, 90])
        assert result[0, 0, 0, 0] == -1
        assert result.flatten()[500 + 10] == pytest.approx(-1)
        assert result.flatten()[500 + 50] == pytest.approx(0, abs=1e-6)
        assert result.flatten()[500 + 90] == pytest.approx(1)
        torch.testing.assert_close(scaled(2 * image, percentiles=[10, 90]), result)

    def test_zscore_by_hand(self):
        # foreground 2, 4, 6: mean 4, standard deviation sqrt(8 / 3)
        deviation = np.sqrt(8 / 3)
        expected = [-4 / deviation, -2 / deviation, 0, 2 / deviation]
        assert scaled(channel(0, 2, 4, 6), zscore=True).flatten().tolist() == pytest.approx(expected)

    def test_each_channel_on_its_own(self):
        image = torch.cat([channel(0, 1, 2, 3), channel(0, 100, 200, 300)])
        for settings in ({"percentiles": [0, 100]}, {"zscore": True}):
            result = scaled(image, **settings)
            torch.testing.assert_close(result[0], result[1])

    @pytest.mark.parametrize(("settings", "value"), [({"percentiles": [1, 99]}, -1), ({"zscore": True}, 0)])
    @pytest.mark.parametrize("level", [0.0, 7.0])
    def test_constant_image_becomes_background(self, settings, value, level):
        assert (scaled(torch.full((1, 3, 3, 3), level), **settings) == value).all()

    @pytest.mark.parametrize("settings", [{"percentiles": [1, 99]}, {"zscore": True}])
    def test_two_valued_image_stays_in_range(self, settings):
        # its foreground has no spread to divide by
        assert scaled(channel(0, 5, 5, 5), **settings).abs().max() <= 1

    def test_integers_are_not_truncated(self):
        image = MetaTensor(torch.tensor([0, 1, 2, 4], dtype=torch.int16).reshape(1, 4, 1, 1), affine=torch.eye(4) * 2)
        result = scaled(image, window=[0, 4])
        assert result.dtype == torch.float32
        assert result.flatten().tolist() == pytest.approx([-1, -0.5, 0, 1])
        assert result.affine[0, 0] == 2

    def test_inverted_by_to_unit(self):
        image = channel(-600, -1.5, 1234.25, 1400)
        window = [-600, 1400]
        restored = ToUnitd("image", window=window)({"image": scaled(image, window=window)})["image"]
        torch.testing.assert_close(restored, image, rtol=0, atol=1e-3)

    @pytest.mark.parametrize(
        ("settings", "found"),
        [
            ({}, "none"),
            ({"window": [0, 1], "zscore": True}, r"\['window', 'zscore'\]"),
            ({"window": [0, 1], "percentiles": [1, 99]}, r"\['window', 'percentiles'\]"),
        ],
    )
    def test_exactly_one_rule(self, settings, found):
        with pytest.raises(ConfigError, match=f"exactly one of window, percentiles, zscore, but got {found}"):
            ScaleWindowd("image", **settings)

    @pytest.mark.parametrize("pair", [[5, 5], [1400, -600]])
    def test_low_below_high(self, pair):
        with pytest.raises(ConfigError, match=rf"has low < high, but got \[{pair[0]}, {pair[1]}\]"):
            ScaleWindowd("image", window=pair)


def head_and_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CT of a cylinder with a closed cavity along z, a table beside it; returns CT, the whole head, the cavity."""
    x, y, _ = np.mgrid[:30, :30, :8]
    head, cavity, table = (x - 12) ** 2 + (y - 14) ** 2 <= 81, (x - 12) ** 2 + (y - 14) ** 2 <= 9, x >= 27
    return np.where(head & ~cavity | table, 40.0, -1000.0), head, cavity


class TestHeadMask:
    def test_hole_is_filled_and_table_left_out(self):
        target, head, cavity = head_and_table()
        assert cavity.any()
        item = HeadMaskd("label")({"label": torch.from_numpy(target)[None].float(), "case": "a"})
        assert item["mask"].shape == (1, 30, 30, 8)
        np.testing.assert_array_equal(item["mask"][0].numpy(), head.astype(np.float32))

    def test_threshold_counts(self):
        target = np.full((5, 5, 5), -1000.0)
        target[1:4, 1:4, 1:4] = -500  # not above -500
        with pytest.raises(DataError, match="case_3: target: has voxels above the head's threshold -500.0, but got"):
            HeadMaskd("label")({"label": torch.from_numpy(target)[None], "case": "case_3"})
        assert head_mask(target, -501, 2, "a").sum() == 27

    def test_cavities_are_filled_in_axial_slices_only(self):
        # a tube along x is open in its own cross-sections' neighbours, but closed in slices across x
        target = np.full((6, 7, 7), 40.0)
        target[:, 3, 3] = -1000
        assert head_mask(target, -500, 0, "a").all()
        assert not head_mask(target, -500, 2, "a")[:, 3, 3].any()

    def test_existing_mask_is_kept(self):
        target, _, _ = head_and_table()
        own = torch.zeros(1, 30, 30, 8)
        own[0, 3, 4, 5] = 7
        mask = HeadMaskd("label")({"label": torch.from_numpy(target)[None], "mask": own})["mask"]
        assert mask.sum() == 1
        assert mask[0, 3, 4, 5] == 1

    def test_nothing_is_added_without_a_target(self):
        assert HeadMaskd("label")({"image": 1}) == {"image": 1}


class TestLoadVolume:
    def test_values_affine_and_origin(self, tmp_path):
        values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
        path = save(tmp_path / "a.nii.gz", values, LPS)
        image = LoadVolumed("image")({"image": path})["image"]
        assert image.dtype == torch.float32
        np.testing.assert_array_equal(image.array, values[None])
        np.testing.assert_array_equal(image.affine, LPS)
        np.testing.assert_array_equal(image.meta["original_affine"], LPS)
        assert image.meta["filename_or_obj"] == path

    def test_channels_in_the_order_given(self, tmp_path):
        paths = [save(tmp_path / f"{n}.nii", np.full((2, 3, 4), n, np.float32)) for n in (3, 1, 2)]
        image = LoadVolumed("image")({"image": paths})["image"]
        assert image.shape == (3, 2, 3, 4)
        assert image[:, 0, 0, 0].tolist() == [3, 1, 2]

    def test_grid_mismatch_names_case_and_file(self, tmp_path):
        first = save(tmp_path / "t1.nii", np.ones((2, 3, 4), np.float32))
        moved = np.eye(4)
        moved[0, 3] = 0.2
        for name, shape, affine in (("shape.nii", (2, 3, 5), np.eye(4)), ("moved.nii", (2, 3, 4), moved)):
            second = save(tmp_path / name, np.ones(shape, np.float32), affine)
            message = rf"case_7: .*{name}: has the grid of the first channel, shape \(2, 3, 4\)"
            with pytest.raises(DataError, match=message):
                LoadVolumed("image")({"image": [first, second], "case": "case_7"})

    def test_the_tolerance_is_that_of_the_data_check(self, tmp_path):
        moved = np.eye(4)
        moved[0, 3] = 0.05  # mm, under the 0.1 mm that common.data accepts
        paths = [
            save(tmp_path / f"{n}.nii", np.ones((2, 3, 4), np.float32), affine)
            for n, affine in enumerate((np.eye(4), moved))
        ]
        assert LoadVolumed("image")({"image": paths})["image"].shape == (2, 2, 3, 4)

    def test_nan_is_refused_unless_filled(self, tmp_path):
        path = save(tmp_path / "a.nii", np.array([1, np.nan, np.inf, 4], np.float32).reshape(4, 1, 1))
        with pytest.raises(DataError, match="2 NaN or Inf of 4 voxels"):
            LoadVolumed("image")({"image": path, "case": "a"})
        filled = LoadVolumed("image", nan_fill=-5)({"image": path})["image"]
        assert filled.flatten().tolist() == [1, -5, -5, 4]

    def test_a_constant_image_warns(self, tmp_path, caplog):
        path = save(tmp_path / "a.nii", np.full((2, 2, 2), 4, np.float32))
        with caplog.at_level(logging.WARNING):
            LoadVolumed("image")({"image": path, "case": "case_2"})
        assert "case_2 (a.nii): every voxel is 4" in caplog.text

    def test_missing_keys(self):
        assert LoadVolumed(["image", "label"], allow_missing_keys=True)({}) == {}
        with pytest.raises(KeyError, match="label"):
            LoadVolumed("label")({})


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


class TestWorkingSpacing:
    def test_null_leaves_the_object_alone(self):
        image = MetaTensor(torch.ones(1, 3, 4, 5))
        step = WorkingSpacingd(["image", "label"], spacing=None)
        assert step({"image": image})["image"] is image
        assert step.inverse({"image": image})["image"] is image
        assert image.applied_operations == []

    def test_resamples_to_the_spacing(self):
        # a ramp of 3 per voxel of 2 mm is 1.5 per voxel of 1 mm; 11 voxels span 20 mm, so 21 of 1 mm
        ramp = 3 * torch.arange(11.0).reshape(1, 11, 1, 1).expand(1, 11, 4, 4)
        image = MetaTensor(ramp.clone(), affine=torch.diag(torch.tensor([2.0, 1, 1, 1])))
        result = WorkingSpacingd("image", spacing=[1.0, 1.0, 1.0])({"image": image})["image"]
        assert result.shape == (1, 21, 4, 4)
        np.testing.assert_allclose(result[0, :, 0, 0], 1.5 * np.arange(21), atol=1e-4)
        np.testing.assert_allclose(np.diag(result.affine), [1, 1, 1, 1])

    @pytest.mark.parametrize("affine", [np.diag([2.0, 2, 3, 1]), np.diag([-2.0, 2, 3, 1]), OBLIQUE, SHEARED])
    def test_inversion_restores_grid_and_values(self, affine):
        own = MetaTensor(torch.from_numpy(smooth((20, 22, 18)))[None], affine=torch.from_numpy(affine))
        seen, restored = through(own, WorkingSpacingd("image", spacing=[1.5, 1.5, 1.5]))
        np.testing.assert_allclose(nib.affines.voxel_sizes(seen.affine.numpy()), 1.5, atol=1e-6)
        assert restored.shape == own.shape
        np.testing.assert_allclose(restored.affine, affine, atol=1e-6)
        inner = (0, *[slice(4, -4)] * 3)
        error = np.abs(restored.array[inner] - own.array[inner])
        assert error.max() < 0.1 * np.ptp(own.array)
        assert error.mean() < 0.01 * np.ptp(own.array)

    @pytest.mark.parametrize("affine", [SHEARED, SHEARED @ np.diag([-1.0, 1, 1, 1]), OBLIQUE])
    def test_without_spacing_any_grid_comes_back_to_the_bit(self, affine):
        own = MetaTensor(torch.from_numpy(smooth((5, 6, 7)))[None], affine=torch.from_numpy(affine))
        _, restored = through(own, WorkingSpacingd("image", spacing=None))
        np.testing.assert_array_equal(restored.array, own.array)
        np.testing.assert_allclose(restored.affine, affine, rtol=0, atol=1e-12)

    def test_a_sheared_grid_is_resampled_to_the_right_places(self):
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

    def test_every_corner_of_a_sheared_grid_is_covered(self):
        own = MetaTensor(torch.ones(1, 12, 12, 12), affine=SHEARED)
        seen, _ = through(own, WorkingSpacingd("image", spacing=[2.0, 2.0, 2.0]))
        corners = np.array([[i, j, k, 1] for i in (0, 11) for j in (0, 11) for k in (0, 11)]) @ SHEARED.T
        voxels = (corners @ np.linalg.inv(seen.affine.numpy()).T)[:, :3]
        assert (voxels > -0.51).all()
        assert (voxels < np.array(seen.shape[1:]) - 0.49).all()

    def test_a_mode_belongs_to_its_key_whichever_others_are_missing(self):
        mask = torch.zeros(1, 9, 9, 9)
        mask[0, 4, 4, 4] = 1
        step = WorkingSpacingd(
            ["image", "label", "mask"], [0.75] * 3, mode=["bilinear", "bilinear", "nearest"], allow_missing_keys=True
        )
        item = step({"image": MetaTensor(mask.clone()), "mask": MetaTensor(mask.clone())})
        assert set(item["mask"].unique().tolist()) == {0, 1}
        assert 0 < item["image"].max() <= 1
        assert len(item["image"].unique()) > 2

    def test_foreign_keys_do_not_matter(self):
        image = MetaTensor(torch.ones(1, 4, 4, 4), affine=torch.diag(torch.tensor([2.0, 2, 2, 1])))
        item = {"image": image, "image_path": "/data/a.nii.gz", "case": "a"}
        result = WorkingSpacingd(["image", "label"], spacing=[1.0, 1, 1], allow_missing_keys=True)(item)
        assert result["image"].shape == (1, 7, 7, 7)
        assert result["image_path"] == "/data/a.nii.gz"
        assert result.keys() == item.keys()

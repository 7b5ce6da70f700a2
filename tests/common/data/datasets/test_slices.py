"""Slices drawn from cached volumes: which, in which order, and the same whoever draws them."""

from __future__ import annotations

from functools import partial

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Identityd, Lambda, Orientationd, RandFlipd, RandSpatialCropd
from sample_checks import assert_samples_follow_from_seed_epoch_and_index, assert_workers_draw_the_same

from common.data.datasets.slices import SliceDataset, UnpairedSliceDataset
from common.errors import ConfigError, DataError
from common.transforms import LoadVolumed, SubjectBoxd
from common.transforms.augment import random_augmentation

SHAPE = (5, 6, 7)


def number_voxels(case: int) -> torch.Tensor:
    """Every voxel holds 1000 case + 100 x + 10 y + z."""
    x, y, z = torch.meshgrid(*(torch.arange(float(n)) for n in SHAPE), indexing="ij")
    return (1000 * case + 100 * x + 10 * y + z)[None]


def load(item: dict) -> dict:
    """As preprocessing: arrays with geometry, and a mask of the cases' own."""
    volume = MetaTensor(number_voxels(item["number"]))
    mask = item.get("mask", torch.ones(1, *SHAPE))
    return {"image": volume, "label": -volume, "mask": mask, "case": f"case_{item['number']}"}


def dataset(cases: int = 2, masks: dict | None = None, **settings) -> SliceDataset:
    data = [{"number": n, **({"mask": masks[n]} if masks and n in masks else {})} for n in range(cases)]
    return SliceDataset(data, Lambda(load), **settings)


@pytest.mark.parametrize(
    ("spacing", "plane", "hint"),
    [
        ((1.0, 1.0, 6.0), "sagittal", ["--plane axial are the acquired ones"]),
        ((1.0, 1.0, 6.0), "axial", []),
        ((4.0, 1.1, 1.0), "coronal", ["--plane sagittal are the acquired ones"]),
        ((1.0, 1.0, 1.8), "sagittal", []),
    ],
)
def test_slices_across_thick_ones_get_a_hint(spacing, plane, hint, caplog):
    def thick(item):
        return {key: MetaTensor(number_voxels(0), affine=np.diag([*spacing, 1])) for key in ("image", "label", "mask")}

    SliceDataset([{}], Lambda(thick), plane=plane)
    assert [message.rpartition("the slices of ")[2] for message in caplog.messages] == hint
    if hint:
        assert f"have {min(spacing):g} x {max(spacing):g} mm in {plane} slices" in caplog.text


@pytest.mark.parametrize(
    ("shape", "plane", "other"),
    [((9, 8, 1), "sagittal", "axial"), ((9, 8, 3), "coronal", "axial"), ((1, 8, 9), "axial", "sagittal")],
)
def test_lines_of_volumes_that_another_plane_cuts_into_slices_are_refused(shape, plane, other):
    def thin(item):
        return {**dict.fromkeys(("image", "label", "mask"), torch.ones(1, *shape)), "case": "case_4"}

    sides = " x ".join(str(n) for axis, n in enumerate(shape) if axis != ["sagittal", "coronal", "axial"].index(plane))
    fault = f"^case case_4 has {plane} slices of {sides} pixels: pass --plane {other}, whose slices are the acquired"
    with pytest.raises(DataError, match=fault):
        SliceDataset([{}], Lambda(thin), plane=plane)
    assert len(SliceDataset([{}], Lambda(thin), plane=other)) == min(shape)


def test_a_margin_around_lines_makes_no_slices_of_them(tmp_path):
    """An axial slice of 30 x 40 voxels, stored with its normal first, in a margin of 6 mm, two voxels of 4 mm."""
    values = np.pad(np.full((1, 34, 24), 300, np.float32), [(0, 0), (3, 3), (3, 3)])
    storage = np.array([[0, 0, 4.0, 0], [0, 4, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(values, storage), tmp_path / "mr.nii.gz")
    paths = dict.fromkeys(("image", "label", "mask"), str(tmp_path / "mr.nii.gz"))
    keys = list(paths)
    prepare = Compose([LoadVolumed(keys), Orientationd(keys, "RAS", labels=None), SubjectBoxd(keys)])
    assert prepare({"case": "one", **paths})["image"].shape[3] == 5
    with pytest.raises(DataError, match="^case one has sagittal slices of 40 x 1 pixels: pass --plane axial"):
        SliceDataset([{"case": "one", **paths}], prepare, plane="sagittal")
    assert len(SliceDataset([{"case": "one", **paths}], prepare, plane="axial")) == 1


CROP = [RandSpatialCropd(keys=["image", "label"], roi_size=[3, 3], random_size=False)]
ALL = [random_augmentation({"rotation": 20, "scale": 0.2, "gamma": 0.2, "noise": 0.1}, "sagittal"), *CROP]


@pytest.mark.parametrize(
    ("plane", "count", "expected"),
    [
        ("sagittal", 5, lambda v, i: v[0, i]),
        ("coronal", 6, lambda v, i: v[0, :, i]),
        ("axial", 7, lambda v, i: v[0, :, :, i]),
    ],
)
def test_every_slice_once_in_order(plane, count, expected):
    samples = dataset(plane=plane)
    assert len(samples) == 2 * count
    for index in range(2 * count):
        case, place = divmod(index, count)
        sample = samples[index]
        assert sample["case"] == f"case_{case}"
        torch.testing.assert_close(sample["image"], expected(number_voxels(case), place)[None])
        torch.testing.assert_close(sample["label"], -sample["image"])
        assert type(sample["image"]) is torch.Tensor


def test_neighbours_are_channels_of_the_image_alone():
    sample = dataset(1, neighbours=3)[0]
    # sagittal slices 0, 0, 1 at (y, z) = (2, 3), the end repeated; the label is slice 0
    assert sample["image"].shape == (3, 6, 7)
    assert sample["image"][:, 2, 3].tolist() == [23, 23, 123]
    assert sample["label"][:, 2, 3].tolist() == [-23]
    assert dataset(1, neighbours=5)[2]["image"][:, 0, 0].tolist() == [0, 100, 200, 300, 400]


def test_slices_of_air_are_left_out():
    # sagittal slices have 42 voxels; 0, 1, 4, 5, 42 of them inside
    mask = torch.zeros(1, *SHAPE)
    for x, inside in enumerate((0, 1, 4, 5, 42)):
        mask[0, x].view(-1)[:inside] = 1
    masks = {1: mask}
    assert [place for number, place in dataset(2, masks).slices if number == 1] == [1, 2, 3, 4]
    fewer = dataset(2, masks, min_foreground=0.1)
    assert [(number, place) for number, place in fewer.slices] == [(0, n) for n in range(5)] + [(1, 3), (1, 4)]
    assert fewer[5]["image"][0, 0, 0] == 1300
    with pytest.raises(DataError, match="no slice of 1 cases has 1% of its pixels in the mask"):
        dataset(1, {0: torch.zeros(1, *SHAPE)})


def test_augmentation_moves_image_and_label_together():
    samples = dataset(augmentation=CROP)
    for sample in map(samples.__getitem__, range(len(samples))):
        assert sample["image"].shape == (1, 3, 3)
        torch.testing.assert_close(sample["label"], -sample["image"])


@pytest.mark.parametrize("augmentation", [CROP, ALL], ids=["crops", "all"])
def test_a_sample_is_a_function_of_seed_epoch_and_index(augmentation):
    assert_samples_follow_from_seed_epoch_and_index(partial(dataset, augmentation=augmentation), 10)


@pytest.mark.parametrize("augmentation", [CROP, ALL], ids=["crops", "all"])
def test_workers_draw_the_same_samples(augmentation):
    assert_workers_draw_the_same(partial(dataset, augmentation=augmentation), 4, (10, 1, 3, 3))


def test_a_changed_sample_leaves_the_cache_alone():
    samples = dataset()
    samples[0]["image"].fill_(-7)
    torch.testing.assert_close(samples[0]["image"], number_voxels(0)[:, 0])


def test_preprocessing_without_a_mask_or_that_draws_at_random():
    with pytest.raises(DataError, match="^case case_0 has no mask, and its preprocessing makes none: add its file"):
        SliceDataset([{"number": 0}], Lambda(lambda item: {k: v for k, v in load(item).items() if k != "mask"}))
    unlabelled = Lambda(lambda item: {key: load(item)[key] for key in ("case", "image")})
    with pytest.raises(DataError, match="^case case_0 has no label: add its target, or exclude the case$"):
        SliceDataset([{"number": 0}], unlabelled)
    with pytest.raises(ConfigError, match="without random transforms gives no image and no label and no mask"):
        SliceDataset([{"number": 0}], Compose([RandFlipd("number", prob=1), Lambda(load)]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"plane": "oblique"}, "--plane is .*: choose sagittal, coronal or axial"),
        ({"neighbours": 2}, "neighbours is 2, not odd and positive"),
    ],
)
def test_wrong_settings_are_refused_before_the_volumes_are_read(settings, message):
    with pytest.raises(ConfigError, match=message):
        SliceDataset([{"number": 0}], Lambda(lambda item: pytest.fail("a volume was read")), **settings)


class TestUnpaired:
    """Pool A counts 0, 1, ... along the slices of each case; pool B 100, 101, ..."""

    @staticmethod
    def pools(**settings):
        def item(case, key, first, count):
            planes = torch.arange(first, first + count, dtype=torch.float32)
            volume = planes.reshape(1, -1, 1, 1).expand(1, -1, 4, 4)
            return {"case": case, key: volume, "mask": torch.ones(1, count, 4, 4)}

        a = [item("a0", "image", 0, 3), item("a1", "image", 10, 2)]
        b = [item("b0", "label", 100, 4), item("b1", "label", 200, 4)]
        return UnpairedSliceDataset(a, b, Identityd(["mask"]), **settings)

    def test_an_epoch_visits_each_slice_of_pool_a_once(self):
        dataset = self.pools()
        assert len(dataset) == 5
        assert [dataset[1, n]["image"][0, 0, 0].item() for n in range(5)] == [0, 1, 2, 10, 11]
        assert sorted(dataset[0, 3]) == ["case", "image", "label"]

    def test_slices_of_pool_b_are_drawn_evenly_and_anew_each_epoch_from_the_seed(self):
        dataset, again = self.pools(seed=3), self.pools(seed=3)[4, 2]
        assert dataset[4, 2]["label"].equal(again["label"])
        assert dataset[4, 2]["case"] == again["case"]
        assert again["case"].startswith("a0, b")
        drawn = [[dataset[epoch, n]["label"][0, 0, 0].item() for n in range(5)] for epoch in range(400)]
        assert drawn[1] != drawn[2]
        values, counts = np.unique(np.array(drawn), return_counts=True)
        assert values.tolist() == [100, 101, 102, 103, 200, 201, 202, 203]
        assert counts / 2000 == pytest.approx([1 / 8] * 8, abs=0.03)

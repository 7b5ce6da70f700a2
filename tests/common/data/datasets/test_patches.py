"""Patches drawn from cached volumes: where they lie, what they hold, and the same whoever draws them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, MetaTensor
from monai.transforms import Compose, Lambda, RandFlipd
from sample_checks import assert_samples_follow_from_seed_epoch_and_index, assert_workers_draw_the_same
from torch.nn import functional as F

from common.data.datasets.patches import VolumePatchDataset
from common.errors import ConfigError, DataError
from common.losses import region_weighted_l1
from common.transforms.augment import random_augmentation

SHAPE = (8, 9, 10)


def number_voxels(case: int = 0) -> torch.Tensor:
    """Every voxel holds 1000 case + 100 x + 10 y + z."""
    x, y, z = torch.meshgrid(*(torch.arange(float(n)) for n in SHAPE), indexing="ij")
    return (1000 * case + 100 * x + 10 * y + z)[None]


def region(*voxels: tuple[int, int, int]) -> torch.Tensor:
    marked = torch.zeros(1, *SHAPE)
    for voxel in voxels:
        marked[(0, *voxel)] = 1
    return marked


def load(item: dict) -> dict:
    """As preprocessing: arrays with geometry, a mask of everything unless the case has its own, and its regions."""
    volume = MetaTensor(number_voxels(item["number"]))
    regions = {key: MetaTensor(value) for key, value in item.items() if key in ("mask", "lesion", "nawm")}
    mask = {"mask": torch.ones(1, *SHAPE)}
    return {"image": volume, "label": -volume, **mask, **regions, "case": f"case_{item['number']}"}


def without_mask(item: dict) -> dict:
    return {key: value for key, value in load(item).items() if key != "mask"}


def dataset(cases: int = 2, own: dict[int, dict] | None = None, **settings: Any) -> VolumePatchDataset:
    data = [{"number": number, **(own or {}).get(number, {})} for number in range(cases)]
    return VolumePatchDataset(data, Lambda(load), **{"patch_size": (3, 4, 5), "patches_per_case": 20, **settings})


def starts(samples: VolumePatchDataset, epoch: int = 1) -> np.ndarray:
    """The first voxel of each patch (N, 3), read from the image's number."""
    numbers = [int(samples[epoch, index]["image"].flatten()[0]) % 1000 for index in range(len(samples))]
    return np.array([[n // 100, n // 10 % 10, n % 10] for n in numbers])


FLIPS = [RandFlipd(keys=["image", "label"], spatial_axis=axis, prob=0.5) for axis in range(3)]
ALL = [random_augmentation({"rotation": 20, "scale": 0.2, "flip": 0.5, "gamma": 0.2, "noise": 0.1})]


def test_a_sample_is_a_piece_of_its_case():
    samples = dataset()
    assert len(samples) == 40
    for index in range(40):
        sample = samples[index]
        first = int(sample["image"].flatten()[0])
        case, (x, y, z) = first // 1000, (first // 100 % 10, first // 10 % 10, first % 10)
        assert case == index // 20
        assert sample["case"] == f"case_{case}"
        torch.testing.assert_close(sample["image"], number_voxels(case)[:, x : x + 3, y : y + 4, z : z + 5])
        torch.testing.assert_close(sample["label"], -sample["image"])
        assert type(sample["image"]) is torch.Tensor
        assert sorted(sample) == ["case", "image", "label"]


def test_patches_of_the_foreground_are_centred_on_its_voxels():
    # centres (4, 4, 4) and (5, 6, 7) less half a patch (1, 2, 2); (0, 0, 9) is shifted inside
    own = {0: {"mask": region((4, 4, 4), (5, 6, 7), (0, 0, 9))}}
    samples = dataset(1, own, foreground_share=1, patches_per_case=99)
    found, counts = np.unique(starts(samples), axis=0, return_counts=True)
    assert found.tolist() == [[0, 0, 5], [3, 2, 2], [4, 4, 5]]
    assert counts.min() > 20


def test_shares_of_lesion_foreground_and_anywhere():
    own = {0: {"mask": region((4, 4, 4)), "lesion": region((2, 3, 3))}, 1: {"mask": region((4, 4, 4))}}
    samples = dataset(2, own, lesion_share=0.5, foreground_share=0.6, patches_per_case=2000)
    places = starts(samples).reshape(2, 2000, 3)
    on_lesion = (places == [1, 1, 1]).all(axis=-1).mean(axis=1)
    in_mask = (places == [3, 2, 2]).all(axis=-1).mean(axis=1)
    # the first case has a lesion: half, then 0.6 of the other half, and 1 in 6 * 6 * 6 of the rest by chance
    chance = np.array([0.2, 0.4]) / 216
    assert on_lesion == pytest.approx(np.array([0.5, 0]) + chance, abs=0.035)
    assert in_mask == pytest.approx(np.array([0.3, 0.6]) + chance, abs=0.035)


def test_a_large_lesion_is_drawn_as_often_as_a_small_one():
    large = [(x, y, z) for x in (2, 3) for y in (2, 3) for z in (2, 3, 4)]
    samples = dataset(1, {0: {"lesion": region(*large, (5, 6, 7), (6, 7, 8))}}, lesion_share=1, patches_per_case=1000)
    assert {voxels.dtype for voxels in samples._cache[0]["lesions"]} == {torch.int32}
    places = starts(samples)
    in_small = (places >= 4).all(axis=1)  # centres (5, 6, 7) and (6, 7, 8), which touch at a corner, less half a patch
    assert in_small.mean() == pytest.approx(1 / 2, abs=0.05), "one of two lesions; by voxels it would be 1 in 7"
    values, counts = np.unique(places[~in_small], axis=0, return_counts=True)
    assert len(values) == 12, "every voxel of the large lesion"
    assert counts / counts.sum() == pytest.approx([1 / 12] * 12, abs=0.04)


def test_patches_anywhere_reach_every_place_alike():
    samples = dataset(1, foreground_share=0, patches_per_case=4000)
    places = starts(samples)
    # lengths 8, 9, 10 less 3, 4, 5 leave the first voxels 0 to 5 on each axis
    for axis in range(3):
        values, counts = np.unique(places[:, axis], return_counts=True)
        assert values.tolist() == [0, 1, 2, 3, 4, 5]
        assert counts / 4000 == pytest.approx([1 / 6] * 6, abs=0.03)


def test_a_grid_tiles_the_volume_with_padding_at_the_ends():
    samples = dataset(2, grid=True, patch_size=(4, 4, 5), patches_per_case=7)
    assert len(samples) == 2 * (2 * 3 * 2)
    whole = torch.full((2, 8, 12, 10), torch.nan)
    for index in range(24):
        case, place = divmod(index, 12)
        x, y, z = np.unravel_index(place, (2, 3, 2)) * np.array([4, 4, 5])
        whole[case, x : x + 4, y : y + 4, z : z + 5] = samples[5, index]["image"][0]
    torch.testing.assert_close(whole[:, :, :9], torch.cat([number_voxels(0), number_voxels(1)]))
    assert (whole[0, :, 9:] == 0).all()
    assert (whole[1, :, 9:] == 1000).all()
    with pytest.raises(IndexError):
        samples[0, 24]


def test_a_grid_needs_neither_mask_nor_foreground():
    assert len(VolumePatchDataset([{"number": 0}], Lambda(without_mask), patch_size=(4, 3, 5), grid=True)) == 2 * 3 * 2
    assert len(dataset(1, {0: {"mask": region()}}, grid=True, patch_size=(8, 9, 10))) == 1


def test_a_volume_smaller_than_the_patch_is_padded_by_its_background():
    own = {0: {"mask": region((7, 8, 9))}, 1: {}}
    sample = dataset(2, own, patch_size=(8, 12, 10), foreground_share=1, regions=["mask"])[0]
    torch.testing.assert_close(sample["image"][:, :, :9], number_voxels())
    assert (sample["image"][:, :, 9:] == 0).all()
    # the label is -(100 x + 10 y + z), the least of it at the far corner
    assert (sample["label"][:, :, 9:] == -(700 + 80 + 9)).all()
    assert sample["mask"].nonzero().tolist() == [[0, 7, 8, 9]]


def test_regions_are_carried_along_or_zeros():
    samples = dataset(2, {0: {"lesion": region((4, 4, 4))}}, lesion_share=1, regions=["lesion", "nawm"])
    first, second = samples[0], samples[20]
    assert first["lesion"].nonzero().tolist() == [[0, 1, 2, 2]]  # the patch's centre
    assert first["lesion"].dtype == torch.float32
    for sample, key in ((first, "nawm"), (second, "lesion"), (second, "nawm")):
        assert torch.equal(sample[key], torch.zeros(1, 3, 4, 5))
    batch = next(iter(DataLoader(samples, batch_size=40)))
    assert batch["lesion"].shape == (40, 1, 3, 4, 5)
    assert batch["lesion"].sum() == 20


def test_counts_are_the_voxels_that_a_patch_of_the_case_holds_on_average():
    own = {0: {"lesion": region((4, 4, 4), (4, 4, 5)), "nawm": region((4, 4, 4))}, 1: {"nawm": region((4, 4, 4))}}
    samples = dataset(2, own, lesion_share=1, foreground_share=0, regions=["lesion", "nawm"])
    # around (4, 4, 4) or (4, 4, 5), a patch of 3 x 4 x 5 voxels holds both voxels, which are lesion and so not NAWM
    assert samples[0]["region_counts"].tolist() == samples[7, 19]["region_counts"].tolist() == [2, 0, 58]
    # anywhere: 3, 4 and 5 of the 6 places along each axis hold the voxel (4, 4, 4)
    assert samples[20]["region_counts"].tolist() == pytest.approx([0, 60 / 216, 60 - 60 / 216])
    assert next(iter(DataLoader(samples, batch_size=40)))["region_counts"].shape == (40, 3)
    assert "region_counts" not in dataset(2, own)[0]


@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 4, 5)])
def test_the_mean_loss_of_all_patches_of_the_grid_is_that_of_the_volume(shape):
    chance = torch.Generator().manual_seed(4)
    lesion, nawm = ((torch.rand(1, *SHAPE, generator=chance) > level).float() for level in (0.97, 0.6))
    samples = dataset(1, {0: {"lesion": lesion, "nawm": nawm}}, grid=True, patch_size=shape, regions=["lesion", "nawm"])
    batch = next(iter(DataLoader(samples, batch_size=len(samples))))
    patches = region_weighted_l1(*(batch[key] for key in ("image", "label", "lesion", "nawm", "region_counts")))
    padding = [pad for side, length in zip(shape[::-1], SHAPE[::-1], strict=True) for pad in (0, -length % side)]
    volume = F.pad(number_voxels(), padding), F.pad(-number_voxels(), padding, value=-789.0)
    whole = region_weighted_l1(*(image[None] for image in (*volume, F.pad(lesion, padding), F.pad(nawm, padding))))
    assert float(patches) == pytest.approx(float(whole))


def test_augmentation_moves_all_arrays_together():
    keys = ["image", "label", "lesion", "context"]
    flips = [RandFlipd(keys=keys, spatial_axis=axis, prob=0.5) for axis in range(3)]
    samples = dataset(1, {0: {"lesion": (number_voxels() % 2).float()}}, regions=["lesion"], augmentation=flips)
    samples.set_context(lambda image: torch.cat([2 * image, 3 * image]))
    flipped = 0
    for index in range(20):
        sample = samples[1, index]
        assert all(type(sample[key]) is torch.Tensor for key in keys)
        torch.testing.assert_close(sample["label"], -sample["image"])
        torch.testing.assert_close(sample["lesion"], sample["image"] % 2)
        torch.testing.assert_close(sample["context"], torch.cat([2 * sample["image"], 3 * sample["image"]]))
        flipped += int(sample["image"].flatten()[0] > sample["image"].flatten()[-1])
    assert 0 < flipped < 20


def test_context_is_padded_and_comes_from_the_volumes():
    samples = dataset(2, patch_size=(8, 12, 10))
    with pytest.raises(DataError, match=r"case_0 has the shape \(1, 8.*\), not \(channels, 8, 9, 10\) of its image"):
        samples.set_context(lambda image: image[..., :4])
    assert "context" not in samples[0]
    samples.set_context(lambda image: torch.cat([image + 0.5, -image]))
    assert samples.volume(1, "label").shape == (1, *SHAPE)
    context = samples[20]["context"]
    torch.testing.assert_close(context[:, :, :9], torch.cat([number_voxels(1) + 0.5, -number_voxels(1)]))
    assert (context[0, :, 9:] == 1000.5).all()
    assert (context[1, :, 9:] == -1789).all(), "each channel's own background"


@pytest.mark.parametrize("augmentation", [FLIPS, ALL], ids=["flips", "all"])
def test_a_sample_is_a_function_of_seed_epoch_and_index(augmentation):
    assert_samples_follow_from_seed_epoch_and_index(partial(dataset, augmentation=augmentation), 40)


@pytest.mark.parametrize("grid", [False, True])
def test_workers_draw_the_same_samples(grid):
    shape = (2 * 3 * 3 * 2 if grid else 40, 1, 3, 4, 5)
    assert_workers_draw_the_same(partial(dataset, augmentation=FLIPS, grid=grid), 6, shape)


def test_a_changed_sample_leaves_the_cache_alone():
    samples = dataset(1, patch_size=SHAPE)
    samples[0]["image"].fill_(-7)
    torch.testing.assert_close(samples[0]["image"], number_voxels())


def test_preprocessing_without_a_mask():
    with pytest.raises(ConfigError, match="preprocessing .* gives no mask of case case_0: .*to 0"):
        VolumePatchDataset([{"number": 0}], Lambda(without_mask))
    assert len(VolumePatchDataset([{"number": 0}], Lambda(without_mask), foreground_share=0)) == 64


def test_cases_that_do_not_fit(caplog):
    with pytest.raises(ConfigError, match="without random transforms gives no image and no label and no mask"):
        VolumePatchDataset([{"number": 0}], Compose([RandFlipd("number", prob=1), Lambda(load)]))
    with pytest.raises(DataError, match="the mask of case case_1 has no voxels to centre patches on: correct the"):
        dataset(2, {1: {"mask": region()}})
    with pytest.raises(ConfigError, match=r"case case_0 different shapes, .*'lesion': \(7, 9, 10\)"):
        dataset(1, {0: {"lesion": region()[:, 1:]}}, regions=["lesion"])
    dataset(2, {1: {"lesion": region()}}, lesion_share=0.5)
    assert "lesion_share 0.5: no case has a lesion to centre patches on" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_size": (32, 32)}, r"--patch_size is \[32, 32\]: give three positive numbers"),
        ({"patch_size": (32, 0, 32)}, r"--patch_size is \[32, 0, 32\]: give three positive numbers"),
        ({"patches_per_case": 0}, "--patches_per_case is 0, not above 0"),
        ({"lesion_share": 50}, "lesion_share is 50: give a share from 0 to 1"),
        ({"foreground_share": -0.1}, "foreground_share is -0.1: give a share from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused_before_the_volumes_are_read(settings, message):
    with pytest.raises(ConfigError, match=message):
        VolumePatchDataset([{"number": 0}], Lambda(lambda item: pytest.fail("a volume was read")), **settings)

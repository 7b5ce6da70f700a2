"""The grid of classic augmentation by hand, and samples with a patch of each class."""

from __future__ import annotations

import math

import pytest
import torch
from lesion_dcgan_aug.augment import warped
from lesion_dcgan_aug.classic_grid import ClassicGrid, equal_shares
from lesion_dcgan_aug.data.class_patches import ClassPatches

from common.errors import ConfigError, DataError


def maps(seed=0, side=64, **settings):
    grid = ClassicGrid(**settings)
    return grid.maps(side, seed).reshape(grid.rotations, -1, 2, 3)


def unturned(views):
    """Maps (R, V, 2, 3) without the rotation of the first view."""
    return views[:, :1, :, :2].transpose(2, 3) @ views


def test_the_published_grid_has_480_views():
    assert ClassicGrid().size == 30 * (1 + 3 + 7 + 5) == 480
    assert maps().shape == (30, 16, 2, 3)
    assert ClassicGrid(2, 0, 1, 0).size == 4


def test_the_first_view_of_a_rotation_is_only_turned_by_up_to_180_degrees():
    turns = torch.cat([maps(seed)[:, 0] for seed in range(20)])
    assert (turns[:, :, 2] == 0).all()
    angles = torch.atan2(turns[:, 1, 0], turns[:, 0, 0]).rad2deg()
    assert 0 <= angles.min() < 2
    assert 178 < angles.max() <= 180
    assert torch.linalg.det(turns[:, :, :2]).numpy() == pytest.approx(1, abs=1e-5)


def test_three_views_are_flipped_up_down_left_right_and_both():
    still = unturned(maps())[:, 1:4]
    assert still[..., 2].abs().max() == 0
    expected = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).diag_embed()
    assert torch.allclose(still[..., :2], expected.expand(30, 3, 2, 2), atol=1e-6)


def test_seven_views_are_shifted_by_a_tenth_of_the_diameter_but_at_most_4_pixels():
    """A lesion of 64 / 1.4 = 45.7 pixels: 4 pixels; one of 32 / 1.6 = 20 pixels: 2. A pixel is 2 / side long."""
    for side, margin, most in ((64, 0.2, 4.0), (32, 0.3, 2.0)):
        shifts = unturned(torch.cat([maps(seed, side, margin=margin) for seed in range(20)]))[:, 4:11]
        assert torch.allclose(shifts[..., :2], torch.eye(2).expand(600, 7, 2, 2), atol=1e-6)
        pixels = shifts[..., 2] * side / 2
        assert 0.99 * most < pixels.max() <= most + 1e-5
        assert -most - 1e-5 <= pixels.min() < -0.99 * most


def test_five_views_show_a_tenth_to_four_tenths_of_the_diameter_around_the_lesion():
    scaled = unturned(torch.cat([maps(seed, margin=0.2) for seed in range(20)]))[:, 11:]
    assert scaled[..., 2].abs().max() == 0
    factor = scaled[..., 0, 0]
    assert torch.allclose(scaled[..., :2], factor[..., None, None] * torch.eye(2), atol=1e-6)
    around = (factor * 1.4 - 1) / 2  # the view is 1 + 2 s lesions wide, the patch 1.4
    assert 0.1 - 1e-5 <= around.min() < 0.102
    assert 0.398 < around.max() <= 0.4 + 1e-5


def test_views_mirror_and_turn_the_patch_as_their_maps_say():
    x = torch.rand(1, 1, 9, 9) * 2 - 1
    up_down, left_right = torch.tensor([[[1.0, 0, 0], [0, -1, 0]], [[-1.0, 0, 0], [0, 1, 0]]])
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0]])
    for view, expected in ((up_down, x.flip(2)), (left_right, x.flip(3)), (quarter, torch.rot90(x, 1, (2, 3)))):
        assert torch.allclose(warped(x, view[None]), expected, atol=1e-5)


def test_equal_shares_add_up_and_grow_with_the_total():
    before = [0] * 7
    for total in range(30):
        shares = equal_shares(total, 7, seed=3)
        assert sum(shares) == total
        assert max(shares) - min(shares) <= 1
        assert all(now >= then for now, then in zip(shares, before, strict=True))
        before = shares
    assert equal_shares(15000, 60, 0) == [250] * 60
    assert {tuple(equal_shares(1, 7, seed)).index(1) for seed in range(60)} == set(range(7)), "the rest by chance"


def test_each_lesion_has_as_many_different_views_and_larger_sets_contain_smaller_ones():
    patches = torch.rand(3, 1, 8, 8) * 2 - 1
    grid = ClassicGrid(rotations=2)
    views, owners = grid.sample(patches, 3 * 32, [5, 6, 7])
    assert owners.bincount().tolist() == [32, 32, 32]
    assert len({view.numpy().tobytes() for view in views}) == 96, "the whole grid, no view twice"
    assert views.abs().max() <= 1
    few, own = grid.sample(patches, 7, [5, 6, 7])
    assert sorted(own.bincount().tolist()) == [2, 2, 3]
    known = [{view.numpy().tobytes() for view in views[owners == number]} for number in range(3)]
    assert all(view.numpy().tobytes() in known[number] for view, number in zip(few, own.tolist(), strict=True))
    none, nobody = grid.sample(patches, 0, [5, 6, 7])
    assert (none.shape, nobody.shape) == ((0, 1, 8, 8), (0,))


def test_views_follow_from_the_lesion_s_seed_alone():
    patches = torch.rand(2, 1, 8, 8)
    assert torch.equal(ClassicGrid().maps(64, 3), ClassicGrid().maps(64, 3))
    assert not torch.allclose(ClassicGrid().maps(64, 3), ClassicGrid().maps(64, 4))
    alone, _ = ClassicGrid().sample(patches[:1], 5, [11])
    both, owners = ClassicGrid().sample(patches, 10, [11, 12])
    assert torch.allclose(both[owners == 0], alone)


@pytest.mark.parametrize(
    "settings", [{"rotations": 0}, {"flips": 4}, {"scales": -1}, {"margin": -0.1}, {"margin": math.nan}]
)
def test_numbers_out_of_range_are_refused(settings):
    rule = "--classic_grid has .* rotations, flips, .*: give at least 1 rotation, 0 to 3 flips"
    with pytest.raises(ConfigError, match=rule):
        ClassicGrid(**settings)


CLASSES = ["a", "b"]
DATA = [{"case": f"a{n}", "class": "a", "image": torch.full((1, 4, 4), float(n))} for n in range(5)]
DATA += [{"case": f"b{n}", "class": "b", "image": torch.full((1, 4, 4), 10.0 + n)} for n in range(2)]


def noise(patches, generator):
    return patches + torch.rand(patches.shape, generator=generator) / 10


def dataset(**settings):
    return ClassPatches(DATA, lambda item: item, CLASSES, **settings)


def test_a_sample_has_a_patch_of_each_class_in_their_order():
    samples = [dataset()[1, index] for index in range(5)]
    assert samples[0]["image"].shape == (2, 4, 4)
    assert [sample["image"][0, 0, 0].item() for sample in samples] == [0, 1, 2, 3, 4], "all of the largest class"
    assert {sample["image"][1, 0, 0].item() for sample in samples} <= {10, 11}
    for sample in samples:
        first, second = (int(value) for value in sample["image"][:, 0, 0])
        assert sample["case"] == f"a{first}, b{second - 10}"


def test_each_patch_of_the_largest_class_is_seen_in_as_many_views_an_epoch():
    data = dataset(views=3, augmentation=noise)
    samples = [data[1, index]["image"][0] for index in range(len(data))]
    assert len(samples) == 15
    assert sorted(int(sample.mean()) for sample in samples) == sorted([0, 1, 2, 3, 4] * 3)
    assert not torch.equal(samples[0], samples[5]), "augmented anew"
    with pytest.raises(ConfigError, match="--views is 0, below 1: raise it"):
        dataset(views=0)


def test_the_smaller_class_is_drawn_anew_each_epoch():
    drawn = [[int(dataset(seed=3)[epoch, index]["image"][1, 0, 0]) for index in range(5)] for epoch in range(8)]
    assert len({tuple(epoch) for epoch in drawn}) > 3
    assert {value for epoch in drawn for value in epoch} == {10, 11}


def test_a_sample_follows_from_seed_epoch_and_index_alone():
    one, other = dataset(augmentation=noise, seed=1), dataset(augmentation=noise, seed=1)
    other[2, 3]
    assert torch.equal(one[4, 1]["image"], other[4, 1]["image"])
    assert not torch.equal(one[4, 1]["image"], one[5, 1]["image"])
    assert not torch.equal(one[4, 1]["image"], dataset(augmentation=noise, seed=2)[4, 1]["image"])


def test_a_class_without_patches_is_named():
    with pytest.raises(DataError, match="class c has no patches to train on: add some, or change --classes"):
        ClassPatches(DATA, lambda item: item, [*CLASSES, "c"])

import pytest
import torch
from lesion_dcgan_aug.data.class_patches import ClassPatches

from common.errors import ConfigError, DataError

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

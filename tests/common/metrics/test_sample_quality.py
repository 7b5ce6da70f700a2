"""Samples against real images: the KID by its definition, copies, diversity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from common.errors import DataError
from common.metrics.kid import ClassKid, kid
from common.metrics.random_features import RandomFeatures
from common.metrics.sample_quality import (
    chance_limit,
    collapse_verdict,
    copied,
    diversity,
    memorisation_verdict,
    nearest_training,
)


def blobs(count, seed):
    """Patches with structure of their own, and noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 6, 6, generator=generator) * 2 - 1
    smooth = F.interpolate(coarse, (32, 32), mode="bicubic")
    return (smooth + 0.1 * torch.randn(count, 1, 32, 32, generator=generator)).clamp(-1, 1)


@pytest.fixture(scope="module")
def training():
    return blobs(40, 0)


@pytest.fixture(scope="module")
def held_out(training):
    return nearest_training(blobs(30, 1), training)


def share(made, training, held_out):
    return float(copied(nearest_training(made, training), held_out).double().mean())


def test_diversity_by_hand():
    made, real = torch.tensor([[0.0], [1.0], [1.0]]), torch.tensor([[0.0, 3.0], [0.0, 0.0]])
    assert diversity(made, real) == pytest.approx((1 + 1 + 0) / 3 / 3)


def test_nearest_of_constant_patches_by_hand():
    training = torch.tensor([0.0, 0.5, 1.0, -1.0]).reshape(4, 1, 1, 1).expand(4, 1, 8, 8)
    found = nearest_training(torch.full((1, 1, 8, 8), 0.4), training)
    assert found.index.tolist() == [1]
    assert found.distance.item() == pytest.approx(0.1)
    assert found.closeness.item() == pytest.approx(0.1 / ((0.4 + 0.6 + 1.4) / 3))


def test_a_generator_that_copies_is_flagged(training, held_out):
    noisy = training + 0.05 * torch.randn(training.shape, generator=torch.Generator().manual_seed(2))
    assert share(noisy, training, held_out) == 1.0
    assert memorisation_verdict(1.0, 30).startswith("COPIES training images: 100% of samples closer")


@pytest.mark.parametrize(
    "turn", [lambda x: x.rot90(1, (2, 3)), lambda x: x.flip(2), lambda x: x.rot90(2, (2, 3)).flip(3)]
)
def test_a_copy_that_is_turned_or_mirrored_is_a_copy(training, held_out, turn):
    assert share(turn(training), training, held_out) == 1.0


def test_new_patches_are_no_copies(training, held_out):
    found = share(blobs(200, 3), training, held_out)
    assert found < chance_limit(30)
    assert memorisation_verdict(found, 30).startswith("no sign of copying: ")


def test_smooth_patches_near_to_all_are_no_copies(training, held_out):
    """The mean patch is nearer to every training patch than real ones are, but to none in particular."""
    smooth = training.mean(0, keepdim=True) + 0.02 * blobs(50, 4)
    assert nearest_training(smooth, training).distance.max() < held_out.distance.min()
    assert share(smooth, training, held_out) == 0.0


def test_chance_falls_below_the_limit_as_often_as_it_says():
    assert chance_limit(1) == pytest.approx(0.99)
    assert chance_limit(16) == pytest.approx(1 - 0.01 ** (1 / 16))
    least = torch.rand(20000, 16, generator=torch.Generator().manual_seed(5)).amin(1)
    assert float((least > chance_limit(16)).double().mean()) == pytest.approx(0.01, abs=0.003)


def test_a_collapsed_generator_scores_lower_than_a_varied_one():
    generator = torch.Generator().manual_seed(6)
    real = torch.randn(30, 10, generator=generator)
    alike = real[:1] + 0.05 * torch.randn(30, 10, generator=generator)
    assert diversity(alike, real) < 0.1
    assert collapse_verdict(diversity(alike, real)).startswith("MODE COLLAPSE: pairs of samples differ by 5%")
    assert collapse_verdict(diversity(torch.randn(30, 10, generator=generator), real)).startswith("no mode collapse")


def test_too_few_patches_are_refused():
    with pytest.raises(DataError, match="diversity compares 1 and 4 images, and each set needs two"):
        diversity(torch.zeros(1, 2), torch.zeros(4, 2))
    with pytest.raises(DataError, match="nearest neighbours among 2 training images, fewer than 3"):
        nearest_training(torch.zeros(1, 1, 4, 4), torch.zeros(2, 1, 4, 4))


def by_pairs(one, other):
    """The definition, pair by pair: sums over i != j of both sets, and over all pairs across."""

    def kernel(a, b):
        return (sum(x * y for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(one), len(other)
    within_one = sum(kernel(one[i], one[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_other = sum(kernel(other[i], other[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in one for b in other) / (n * m)
    return within_one + within_other - 2 * across


def test_equals_the_definition_on_sets_of_unequal_size():
    draw = np.random.default_rng(0)
    one, other = draw.normal(size=(5, 7)), draw.normal(0.5, 2, size=(8, 7))
    assert kid(torch.tensor(one), torch.tensor(other)) == pytest.approx(by_pairs(one.tolist(), other.tolist()))


def test_one_image_is_no_set():
    with pytest.raises(DataError, match="KID compares 1 and 5 images, and each set needs two: give more patches"):
        kid(torch.zeros(1, 3), torch.zeros(5, 3))


def test_features_are_the_same_in_every_process_and_tell_textures_apart():
    generator = torch.Generator().manual_seed(2)
    noise = torch.rand(8, 1, 64, 64, generator=generator) * 2 - 1
    smooth = torch.nn.functional.avg_pool2d(noise, 9, 1, 4)
    one, other = RandomFeatures()(noise), RandomFeatures()(noise)
    assert one.shape == (8, 480)
    assert torch.equal(one, other)
    assert kid(RandomFeatures()(smooth), one) > 100 * abs(kid(one[:4], one[4:]))


def test_metric_is_the_mean_over_the_classes_of_each_class_s_own_kid():
    generator = torch.Generator().manual_seed(3)
    pred, label = torch.rand(2, 8, 1, 64, 64, generator=generator) * 2 - 1
    classes = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    image = torch.cat([torch.zeros(8, 5), torch.nn.functional.one_hot(classes, 2)], 1)
    metric = ClassKid(2)
    metric.update((pred[:3], label[:3], image[:3]))
    metric.update((pred[3:], label[3:], image[3:]))
    extract = RandomFeatures()
    expected = [kid(extract(pred[classes == k]), extract(label[classes == k])) for k in (0, 1)]
    assert metric.compute() == pytest.approx(sum(expected) / 2, rel=1e-4)

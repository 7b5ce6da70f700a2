import numpy as np
import pytest
import torch

from common.errors import DataError
from common.metrics.kid import ClassKid, kid
from common.metrics.random_features import RandomFeatures


def by_pairs(one, other):
    """The definition, pair by pair: sums over i != j of both sets, and over all pairs across."""

    def kernel(a, b):
        return (sum(x * y for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(one), len(other)
    within_one = sum(kernel(one[i], one[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_other = sum(kernel(other[i], other[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(kernel(a, b) for a in one for b in other) / (n * m)
    return within_one + within_other - 2 * across


def test_two_features_by_hand():
    one, other = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    # within one: k(0, 2) = 1; within the other: k(1, 1) = 8; across: k(0, 1) = 1 twice and k(2, 1) = 27 twice
    assert kid(one, other) == pytest.approx(1 + 8 - 2 * (1 + 27) / 2)


def test_equals_the_definition_on_sets_of_unequal_size():
    draw = np.random.default_rng(0)
    one, other = draw.normal(size=(5, 7)), draw.normal(0.5, 2, size=(8, 7))
    assert kid(torch.tensor(one), torch.tensor(other)) == pytest.approx(by_pairs(one.tolist(), other.tolist()))


def test_is_unbiased_zero_in_the_mean_for_one_distribution_at_every_size():
    for n in (4, 40):
        generator = torch.Generator().manual_seed(n)
        values = [kid(*torch.randn(2, n, 6, generator=generator)) for _ in range(600)]
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values)) < 3 * error
        assert min(values) < 0 < max(values)


def test_grows_with_the_distance_of_the_sets():
    generator = torch.Generator().manual_seed(1)
    real, made = torch.randn(2, 60, 6, generator=generator)
    near, far = kid(made + 0.2, real), kid(made + 1, real)
    assert abs(kid(made, real)) < near < far


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

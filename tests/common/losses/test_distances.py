"""Distances by hand; losses as settings, and their weighted sum."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from common.losses import gradient_difference, l1, region_weighted_l1, weighted_losses, weighted_sum


def test_l1_is_the_mean_over_all_elements() -> None:
    assert float(l1(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 2.0]]))) == 2.5


def test_l1_does_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"prediction \(2, 1, 4, 4\) and target \(2, 4, 4\) differ in shape"):
        l1(torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))


def test_a_sum_is_the_mean_times_the_elements_of_a_sample() -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 2, 3, 4, 5), torch.randn(2, 2, 3, 4, 5)
    by_hand = sum(float((p - t).abs().sum()) for p, t in zip(prediction, target, strict=True)) / 2
    assert float(l1(prediction, target, "sum")) == pytest.approx(by_hand, rel=1e-6)
    for loss in (l1, gradient_difference):
        assert float(loss(prediction, target, "sum")) == pytest.approx(120 * float(loss(prediction, target, "mean")))
        with pytest.raises(ConfigError, match="reduction is 'none': choose mean or sum"):
            loss(prediction, target, "none")


def test_gradient_difference_by_hand_in_3d() -> None:
    # the target rises by 1, 2 along x, by 3, 0 along y and stays along z; the prediction falls by 4 once, at x = 1 -> 2
    x, y = torch.tensor([0.0, 1, 3]), torch.tensor([0.0, 3, 3])
    target = (x[:, None, None] + y[None, :, None]).expand(1, 1, 3, 3, 3)
    prediction = torch.tensor([0.0, 0, -4])[:, None, None].expand(1, 1, 3, 3, 3)
    # x, at 9 places each: (|1| - 0)^2 = 1 and (|2| - |-4|)^2 = 4; y, at 9 places each: 3^2 = 9 and 0; z: 0
    assert float(gradient_difference(prediction, target)) == pytest.approx(9 * (1 + 4) + 9 * 9)
    assert float(gradient_difference(prediction, target, "mean")) == pytest.approx(126 / 27)


def test_gradient_difference_in_2d_sees_size_not_sign_nor_level() -> None:
    # 4 rows alike, falling or rising by 1, 2, 3: the magnitudes are the same
    rows = torch.tensor([0.0, 1, 3, 6]).expand(1, 1, 4, 4)
    assert float(gradient_difference(100 - rows, rows)) == 0
    # twice as steep: 4 rows of (1 - 2)^2 + (2 - 4)^2 + (3 - 6)^2; two samples, and one is right: half of it
    assert float(gradient_difference(2 * rows, rows)) == 4 * (1 + 4 + 9)
    assert float(gradient_difference(torch.cat([2 * rows, rows]), torch.cat([rows, rows]))) == 28


def test_gradient_difference_outgrows_half_precision() -> None:
    steps = 100.0 * (torch.arange(32) % 2).expand(1, 1, 32, 32).half()
    assert float(gradient_difference(torch.zeros_like(steps), steps)) == 32 * 31 * 100.0**2
    with pytest.raises(ValueError, match=r"prediction \(1, 32, 32\) and target \(1, 1, 32, 32\) differ in shape"):
        gradient_difference(steps[0], steps)


class TestRegionWeightedL1:
    """Errors 1 to 8 in a 2x2x2: voxels 0 and 1 lesion, 2 to 4 NAWM, 5 to 7 neither."""

    errors = torch.arange(1.0, 9).reshape(1, 1, 2, 2, 2)
    zeros = torch.zeros_like(errors)

    @staticmethod
    def region(*voxels: int) -> torch.Tensor:
        marked = torch.zeros(8)
        marked[list(voxels)] = 1
        return marked.reshape(1, 1, 2, 2, 2)

    @property
    def lesion(self) -> torch.Tensor:
        return self.region(0, 1)

    @property
    def nawm(self) -> torch.Tensor:
        return self.region(2, 3, 4)

    def test_all_three_regions(self) -> None:
        expected = (1 + 2) / 2 + (3 + 4 + 5) / 3 + (6 + 7 + 8) / 3
        assert float(region_weighted_l1(self.errors, self.zeros, self.lesion, self.nawm)) == expected
        assert float(region_weighted_l1(-self.errors, self.zeros, self.lesion > 0, self.nawm > 0)) == expected

    def test_an_empty_region_contributes_nothing(self) -> None:
        without_lesion = region_weighted_l1(self.errors, self.zeros, self.region(), self.nawm)
        assert float(without_lesion) == pytest.approx(4 + (1 + 2 + 6 + 7 + 8) / 5)
        assert float(region_weighted_l1(self.errors, self.zeros, self.region(), self.region())) == 36 / 8
        assert float(region_weighted_l1(self.errors, self.zeros, self.region(*range(8)), self.nawm)) == 36 / 8

    def test_a_voxel_of_both_is_lesion(self) -> None:
        both = region_weighted_l1(self.errors, self.zeros, self.lesion, self.region(1, 2, 3, 4))
        assert float(both) == 1.5 + 4 + 7

    def test_a_grazed_lesion_voxel_weighs_as_one_of_all_lesion_voxels(self) -> None:
        # the patch grazes a lesion of 20 voxels in voxel 0, whose error is 1; alone it would count as much as its NAWM
        grazed, counts = self.region(0), torch.tensor([[20.0, 6.0, 10.0]])
        assert float(region_weighted_l1(self.errors, self.zeros, grazed, self.nawm)) == 1 + 4 + (2 + 6 + 7 + 8) / 4
        found = float(region_weighted_l1(self.errors, self.zeros, grazed, self.nawm, counts))
        assert found == pytest.approx(1 / 20 + (3 + 4 + 5) / 6 + (2 + 6 + 7 + 8) / 10)

    def test_counts_are_those_of_each_sample(self) -> None:
        both = [torch.cat([image] * 2) for image in (self.errors, self.zeros, self.lesion, self.nawm)]
        counts = torch.tensor([[2.0, 3, 3], [4, 6, 0.5]])
        assert float(region_weighted_l1(*both, counts)) == (12.5 + (3 / 4 + 12 / 6 + 21 / 0.5)) / 2

    def test_patches_that_tile_a_volume_have_the_mean_loss_of_the_whole(self) -> None:
        halves = [image.split(1, dim=2) for image in (self.errors, self.zeros, self.lesion, self.nawm)]
        counts = torch.tensor([[2.0, 3, 3]]) / 2  # the volume has 2, 3 and 3 voxels of the regions, in two patches
        patches = [float(region_weighted_l1(*patch, counts)) for patch in zip(*halves, strict=True)]
        # errors 1 to 4: lesion 1, 2 and NAWM 3, 4; errors 5 to 8: NAWM 5 and other 6, 7, 8
        assert patches == pytest.approx([3 / 1 + 7 / 1.5, 5 / 1.5 + 21 / 1.5])
        assert sum(patches) / 2 == pytest.approx(12.5)

    def test_empty_regions_give_no_nan_in_the_gradient(self) -> None:
        prediction = self.zeros.clone().requires_grad_()
        for counts, gradient in ((None, -1 / 8), (torch.tensor([[0.0, 0, 16]]), -1 / 16)):
            prediction.grad = None
            region_weighted_l1(prediction, self.errors, self.region(), self.region(), counts).backward()
            assert prediction.grad is not None
            assert prediction.grad.flatten().tolist() == [gradient] * 8

    def test_no_value_is_read_back_from_the_device(self) -> None:
        # a tensor on "meta" has a shape and no values: reading one back, or a shape that depends on one, raises
        image, region = self.errors.to("meta"), self.lesion.to("meta")
        for counts in (None, torch.ones(1, 3, device="meta")):
            assert region_weighted_l1(image, image, region, region, counts).shape == ()

    def test_regions_of_another_shape_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"nawm has the shape \(2, 2, 2\) where the images need \(1, 1, 2, 2, 2\)"):
            region_weighted_l1(self.errors, self.zeros, self.lesion, self.nawm[0, 0])
        with pytest.raises(ValueError, match=r"counts has the shape \(3,\) where the images need \(1, 3\)"):
            region_weighted_l1(self.errors, self.zeros, self.lesion, self.nawm, torch.ones(3))


TERMS = ("adversarial", "feature_matching")


def test_weighted_sum_by_hand() -> None:
    losses = {"adversarial": torch.tensor(2.0), "l1": torch.tensor(0.25)}
    assert float(weighted_sum(losses, {"l1": 100, "adversarial": 0.5})) == 26.0


def test_losses_keep_their_order_and_modules_are_frozen() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout(0.5))
    given = {
        "l1": {"weight": 0, "function": l1},
        "adversarial": {"weight": 1},
        "own": {"weight": 2.5, "function": network},
    }
    found = weighted_losses(given, TERMS, "--losses")
    assert [(name, loss.weight, loss.function) for name, loss in found.items()] == [
        ("l1", 0, l1), ("adversarial", 1, None), ("own", 2.5, network),
    ]  # fmt: skip
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"l1": 100}, r"no weight in 100 \(from --losses::l1\): write \{weight: 1\} and, for a new loss, a function"),
        ({"l1": {"function": l1}}, r"no weight in \{'function': .*\} \(from --losses::l1\): write"),
        (
            {"l1": {"weight": 1, "functoin": l1}},
            r"unknown name functoin \(from --losses::l1\): a loss has weight, function, keys$",
        ),
        ({"l1": {"weight": -1, "function": l1}}, r"weight -1 \(from --losses::l1::weight\): give a number, 0 to skip"),
        ({"l1": {"weight": "a", "function": l1}}, r"weight 'a' \(from --losses::l1::weight\): give a number"),
        ({"l1": {"weight": float("nan"), "function": l1}}, r"weight nan \(from --losses::l1::weight\): give a number"),
        (
            {"adverserial": {"weight": 1}},
            r"no function \(from --losses::adverserial\): terms without a function are adversarial, feature_matching$",
        ),
        (
            {"adversarial": {"weight": 1, "function": l1}},
            r"a function where the method computes the loss itself \(from --losses::adversarial\): terms without",
        ),
        (
            {"l1": {"weight": 0, "function": l1}, "adversarial": {"weight": 0}},
            r"every weight is 0 \(from --losses\): give a loss to train by a weight above 0$",
        ),
    ],
)  # fmt: skip
def test_an_entry_that_is_no_loss_is_refused(losses: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        weighted_losses(losses, TERMS, "--losses")

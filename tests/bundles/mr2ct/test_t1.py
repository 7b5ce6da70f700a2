"""Pairs of an MR of any contrast and thickness and a T1 of thin slices, and the network that is trained on them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from mr2ct_pix2pix.networks import HalvedUNet
from mr2ct_pix2pix.simulation import PLANES, AnyPlane, AnyToT1, on_thin_grid, target_signals

from common.simulation.corruptions.slices import averaged
from common.simulation.mr_contrasts import FLAIR, T2
from common.simulation.sampling import Sampling
from common.simulation.scanner import Scanner
from common.simulation.simulate import AverageHeads
from common.simulation.tissues import RELAXATION
from common.simulation.variety import Variety

WHOLE = (slice(None), slice(None), slice(None))
EVEN = Scanner(
    blur_mm=(0, 0), thick_probability=1, thickness_mm=(8, 8), gap_probability=0, cut_mm=(0, 0, 0, 0), texture=(0, 0)
)
SIMULATION = AnyToT1(
    source=T2, scanner=EVEN, blur_probability=0,
    heads=AverageHeads(Variety(stripped_probability=0, defaced_probability=0), spacings_mm=(4.0,), turn_probability=0),
)  # fmt: skip


def test_the_target_is_an_inversion_recovery_with_white_matter_at_1000() -> None:
    def signal(name: str) -> float:
        tissue = RELAXATION[name]
        recovered = abs(1 - 2 * math.exp(-875 / tissue.t1) + math.exp(-2100 / tissue.t1))
        return tissue.density * recovered * math.exp(-11.5 / tissue.t2)

    found = target_signals()
    for name in ("white", "grey", "csf", "fat"):
        assert found[name] == pytest.approx(1000 * signal(name) / signal("white"))
    assert found["background"] == 0
    assert found["csf"] < 100 < 600 < found["grey"] < 700 < found["white"] < found["fat"]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_are_interpolated_between_their_middles(axis: int) -> None:
    ramp = np.moveaxis(np.broadcast_to(np.arange(9, dtype=np.float32), (2, 2, 9)), 2, axis)
    for thick, wanted in ((3.0, [1, 1, 2, 3, 4, 5, 6, 7, 7]), (2.0, [0.5, 1, 2, 3, 4, 5, 6, 6.5, 6.5])):
        sampling = Sampling(WHOLE, axis, 3.0, thick, (axis + 1) % 3, 1.0)
        thin = on_thin_grid(averaged(ramp, axis, 3.0, thick), sampling, ramp.shape)
        assert thin.shape == ramp.shape
        np.testing.assert_allclose(np.moveaxis(thin, axis, 2)[1, 1], wanted, rtol=1e-6)


def test_source_and_t1_are_on_one_grid_and_only_the_source_has_thick_slices() -> None:
    case = SIMULATION(1)
    assert case["image"].shape == case["label"].shape == case["mask"].shape == (50, 60, 50)
    assert case["spacing"].tolist() == [4, 4, 4]
    assert case["image"].min() >= 0
    assert case["image"].max() <= 1
    # halfway between two thick slices the second difference of a linear interpolation is 0
    bent = {
        name: min(np.abs(np.diff(case[name], 2, axis)).mean() for axis in range(3)) / case[name].std()
        for name in ("image", "label")
    }
    assert bent["image"] < 0.7 * bent["label"]


def test_the_t1_is_that_of_the_head_whatever_the_source_shows() -> None:
    case, other = SIMULATION(2), replace(SIMULATION, source=FLAIR)(2)
    np.testing.assert_array_equal(case["label"], other["label"])
    assert np.abs(case["image"] - other["image"]).mean() > 0.02
    levels, counts = np.unique(np.round(case["label"][case["mask"] > 0], -1), return_counts=True)
    assert 1000 in levels[np.argsort(counts)[-8:]], "much of the head is pure white matter"
    assert case["label"][case["mask"] == 0].mean() < 50


@pytest.mark.parametrize(("probability", "dark"), [(1.0, 1.0), (0.0, 0.6)])
def test_the_air_is_cleared_or_has_noise(probability: float, dark: float) -> None:
    case = replace(SIMULATION, cleared_probability=probability)(3)
    share = (case["image"][case["mask"] == 0] == 0).mean()
    assert share == 1 if probability else share < dark


def test_a_turned_case_holds_the_slices_of_another_plane() -> None:
    for seed, axes in enumerate(PLANES):
        case, turned = SIMULATION(seed), AnyPlane(SIMULATION)(seed)
        for name in ("image", "label", "mask"):
            np.testing.assert_array_equal(turned[name], case[name].transpose(axes))
    assert [axes[2] for axes in PLANES] == [2, 1, 0]


def test_the_network_of_half_the_pixels_keeps_the_shape_and_sees_each_pixel() -> None:
    torch.manual_seed(0)
    network = HalvedUNet(in_channels=3, width=4, fine=2).eval()
    slabs = torch.randn(2, 3, 32, 64)
    made = network(slabs)
    assert made.shape == (2, 1, 32, 64)
    moved = slabs.clone()
    moved[0, 1, 10, 11] += 1
    changed = (network(moved) - made).abs()
    assert changed[0, 0, 10, 11] > 1e-4
    assert changed[1].max() == 0, "another sample is left as it is"

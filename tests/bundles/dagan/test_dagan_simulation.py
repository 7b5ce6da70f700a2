"""Simulated pairs of a degraded and a whole MR, and random undersampling."""

from __future__ import annotations

import numpy as np
import pytest
from mri_dagan.simulation import AnyUndersampling, DegradedMr

from common.errors import ConfigError
from common.simulation.corruptions.undersampling import Undersampled
from common.simulation.mr_contrasts import T1
from common.simulation.simulate import AverageHeads, MrPair

HEADS = AverageHeads(spacings_mm=(6.0,), turn_probability=0)


def test_the_target_is_the_scan_and_the_source_the_same_degraded() -> None:
    seen = []

    def halved(volume, spacing, rng):
        seen.append((volume, spacing))
        return volume / 2

    case = DegradedMr(T1, halved, heads=HEADS)(3)
    scan = MrPair(T1, T1, heads=HEADS)(3)
    np.testing.assert_array_equal(case["label"], scan["image"])
    np.testing.assert_array_equal(case["image"], scan["image"] / 2)
    np.testing.assert_array_equal(case["mask"], scan["mask"])
    np.testing.assert_array_equal(seen[0][1], scan["spacing"])


def test_a_case_is_a_function_of_its_seed() -> None:
    simulate = DegradedMr(T1, AnyUndersampling(), heads=HEADS)
    first, again, other = simulate(1), simulate(1), simulate(2)
    np.testing.assert_array_equal(first["image"], again["image"])
    assert first["image"].shape != other["image"].shape or not np.array_equal(first["image"], other["image"])


def test_an_acceleration_and_noise_of_one_value_are_those_of_plain_undersampling() -> None:
    """After the three numbers that are drawn: kind of mask, acceleration, noise."""
    volume = np.random.default_rng(0).random((40, 24, 3)).astype(np.float32)
    made = AnyUndersampling(("equispaced",), (4, 4), (0.01, 0.01))(volume, [1, 1, 1], np.random.default_rng(5))
    rng = np.random.default_rng(5)
    rng.choice(["equispaced"])
    rng.random(2)
    np.testing.assert_array_equal(made, Undersampled("equispaced", 4, noise=0.01)(volume, [1, 1, 1], rng))


def test_a_higher_acceleration_loses_more() -> None:
    volume = np.random.default_rng(0).random((64, 24, 3)).astype(np.float32)

    def lost(acceleration: float) -> float:
        way = AnyUndersampling(acceleration=(acceleration, acceleration), noise=(0, 0))
        made = [way(volume, [1, 1, 1], np.random.default_rng(seed)) for seed in range(4)]
        return float(np.mean([np.abs(each - volume).mean() for each in made]))

    assert lost(2) < lost(4) < lost(8)


def test_ends_of_a_range_that_are_swapped_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"acceleration is \[9, 3\], not a range \[low, high\]"):
        AnyUndersampling(acceleration=(9, 3))(np.ones((8, 8, 2), np.float32), [1, 1, 1], np.random.default_rng(0))

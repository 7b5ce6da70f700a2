"""Mutual information by hand, and pairs that are shifted or not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.data.checks.misregistration import binned, mutual_information, suspicious_flip, suspicious_shift


def pair(shape: tuple[int, ...] = (40, 44, 48), noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """A smooth random texture and a second contrast of it that is no monotone function of the first."""
    rng = np.random.default_rng(0)
    source = gaussian_filter(rng.normal(size=shape), 2.5)
    source /= source.std()
    return source, np.cos(2 * source) + noise * rng.normal(size=shape)


def test_mutual_information_by_hand() -> None:
    a = np.array([0, 0, 1, 1])
    assert mutual_information(a, 31 - a) == pytest.approx(np.log(2))
    assert mutual_information(a, np.array([0, 1, 0, 1])) == pytest.approx(0)
    expected = 0.5 * np.log(0.5 / (0.75 * 0.5)) + 0.25 * np.log(0.25 / (0.75 * 0.5)) + 0.25 * np.log(2)
    assert mutual_information(np.array([5, 5, 5, 7]), np.array([1, 1, 2, 2])) == pytest.approx(expected)


def test_nearly_constant_values_share_a_bin() -> None:
    """Where a volume hardly overlaps the other one after a registration."""
    values = np.zeros(1000, np.float32)
    values[:2] = 1
    assert binned(values).tolist() == [0] * 1000


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxels", [-4, -3, 2, 3, 4])
def test_a_shifted_pair_is_found_with_axis_and_direction(axis: int, voxels: int) -> None:
    source, target = pair()
    shift = suspicious_shift(source, np.roll(target, -voxels, axis))
    assert shift is not None
    assert (shift.axis, np.sign(shift.voxels)) == (axis, np.sign(voxels))
    assert abs(shift.voxels - voxels) <= 1
    assert shift.after > 1.05 * shift.before


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_pair_is_found_with_its_axis(axis: int) -> None:
    source, target = pair()
    assert suspicious_flip(source, target) is None
    flip = suspicious_flip(source, np.flip(target, axis))
    assert flip is not None
    assert flip.axis == axis
    assert flip.after > 1.05 * flip.before
    symmetric = source + np.flip(source, axis)
    assert suspicious_flip(symmetric, np.flip(symmetric, axis)) is None


def test_aligned_unrelated_and_small_volumes_are_not_suspicious_and_a_short_axis_is_left_out() -> None:
    rng = np.random.default_rng(1)
    source, target = pair()
    assert suspicious_shift(source, target) is suspicious_shift(target, source) is None
    assert suspicious_shift(rng.normal(size=(32, 32, 32)), rng.normal(size=(32, 32, 32))) is None
    source, target = pair((14, 14, 14))
    assert suspicious_shift(source, np.roll(target, 3, 0)) is None
    assert suspicious_flip(source, np.flip(target, 0)) is None
    source, target = pair((48, 48, 5))
    shift = suspicious_shift(source, np.roll(target, -4, 1))
    assert shift is not None
    assert (shift.axis, shift.voxels) == (1, 4)

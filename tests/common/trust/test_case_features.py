"""Features of small volumes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from common.trust.features import CaseFeatures, correlation_ratio, on_grid, periodicity
from common.trust.words import KINDS, kind_of

RAS = np.diag([2.5, 2.5, 2.5, 1.0])


def head(shape=(24, 28, 26), seed=0) -> np.ndarray:
    """An ellipsoid of values around 1 in air of 0, longer in front."""
    places = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    inside = (((places - (11.5, 13, 12)) / (9, 11, 10)) ** 2).sum(axis=-1) < 1
    values = np.random.default_rng(seed).uniform(0.5, 1.5, shape)
    return np.where(inside, values, 0).astype(np.float32)


def test_share_of_variance_that_bins_explain():
    """Means 2 and 6 about 4, values about these by 1: 4 of 5."""
    assert correlation_ratio(np.array([0, 0, 1, 1]), np.array([1.0, 3, 5, 7])) == pytest.approx(0.8)
    assert correlation_ratio(np.array([0, 1, 2, 3]), np.array([9.0, -1, 9, 4])) == pytest.approx(1)
    assert correlation_ratio(np.array([0, 1]), np.array([5.0, 5])) == 0


def test_the_grid_follows_the_axes_of_the_source_and_not_those_of_the_file():
    volume = head()
    np.testing.assert_array_equal(on_grid(volume, RAS, volume.shape, RAS), volume)
    turned = RAS.copy()
    turned[:3, :3] = np.array([[0, 0, -2.5], [2.5, 0, 0], [0, 2.5, 0]])  # axes y, z and -x of the source
    turned[0, 3] = 2.5 * (volume.shape[0] - 1)
    stored = np.flip(volume, 0).transpose(1, 2, 0)
    np.testing.assert_allclose(on_grid(stored, turned, volume.shape, RAS), volume, atol=1e-5)
    fine = np.diag([1.25, 2.5, 2.5, 1.0])
    assert on_grid(np.repeat(volume, 2, axis=0), fine, (48, 28, 26), fine).shape == volume.shape


def test_an_output_that_is_a_function_of_the_source():
    """HU of -1000 in air and 100 x value inside: a line."""
    source = head()
    output = np.where(source > 0, 100 * source, -1000)
    found = CaseFeatures("HU")(source[None], output, 2.5)
    assert found["output explained by the source"] == pytest.approx(1, abs=0.005)
    assert found["source explained by the output"] == pytest.approx(1, abs=0.005)
    assert found["overlap of the heads"] == 1
    assert found["share in the output: soft"] == 1
    assert found["slice thickness in mm"] == 2.5
    assert [found[f"head extent in mm, {axis}"] for axis in ("left to right", "bottom to top")] == [45.0, 47.5]
    assert {kind_of(name) for name in found} < set(KINDS)


def test_a_cut_head_and_a_shuffled_output_are_seen():
    source = head()[:, :, :13]
    output = np.where(source > 0, np.random.default_rng(1).uniform(-100, 100, source.shape), -1000)
    found = CaseFeatures("HU")(source[None], output, 2.5)
    assert found["head at the edge of the volume, top"] == 1
    assert found["head at the edge of the volume, bottom"] == 0
    assert found["output explained by the source"] < 0.05


def test_other_units_are_compared_as_z_scores():
    source = head()
    one, other = (CaseFeatures("DVR")(source[None], output, 2.5) for output in (3 + source, 700 + 50 * source))
    assert one == pytest.approx(other, abs=1e-3)


def test_a_periodic_pattern_stands_out_of_the_spectrum():
    """Noise of variance 1 has an even spectrum; every second column brighter by 1 is a line at its end."""
    noise = np.random.default_rng(0).normal(size=(49, 40, 40))
    assert periodicity(noise) < 1.5
    striped = noise + 0.5 * np.cos(np.pi * np.arange(49))[:, None, None]
    assert periodicity(striped) == pytest.approx(1 + 0.5**2 * 48 / 1.5, rel=0.1)  # Hann: power N A^2 / 1.5 at Nyquist
    assert periodicity(np.moveaxis(striped, 0, 2)) == pytest.approx(periodicity(striped), rel=0.05)
    assert periodicity(np.zeros((48, 40, 40))) == 0

"""Non-local means and total variation on a phantom of two tissues with noise of a known size."""

from __future__ import annotations

import numpy as np
import pytest
from ldct_wgan_vgg.classical import NonLocalMeans, TotalVariation, noise_level
from ldct_wgan_vgg.dose import LowDose

from common.errors import ConfigError, DataError

SIGMA = 20.0


def phantom() -> np.ndarray:
    """Air, water and a square of 100 HU, (48, 48, 4)."""
    volume = np.full((48, 48, 4), -1000.0)
    volume[4:44, 4:44] = 0
    volume[10:26, 10:26] = 100
    return volume


def noisy() -> np.ndarray:
    clean = phantom()
    return np.where(clean > -1000, clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape), clean)


def test_the_noise_level_is_that_of_soft_tissue():
    assert noise_level(noisy()) == pytest.approx(SIGMA, rel=0.1)
    assert noise_level(phantom()) == 0
    assert noise_level(np.full((9, 9, 1), -1000.0)) == 0


def test_the_correlated_noise_of_a_soft_kernel_is_seen():
    """Differences of neighbours hold two fifths of its variance, the squares of 5 pixels two thirds."""
    away = np.hypot(*np.ogrid[-32:32, -32:32])
    water = np.repeat(np.where(away < 28, 0.0, -1000.0)[..., None], 6, 2)
    low = LowDose(0.25, views=90, bow_tie=168)(water, (3, 3, 3), np.random.default_rng(0))
    true = low[away < 20].std()
    assert np.diff(low, axis=0)[away[1:] < 20].std() / np.sqrt(2) < 0.7 * true
    assert noise_level(low) == pytest.approx(true, rel=0.25)


@pytest.mark.parametrize("denoise", [NonLocalMeans(), NonLocalMeans(dimensions=3), TotalVariation()])
def test_noise_falls_and_edges_stay(denoise):
    clean, found = phantom(), denoise(noisy())
    flat = np.zeros(clean.shape, dtype=bool)
    flat[13:23, 13:23] = True
    assert found.shape == clean.shape
    assert (found - clean)[flat].std() < SIGMA / 2
    assert found[13:23, 13:23].mean() - found[30:40, 30:40].mean() == pytest.approx(100, abs=10)
    np.testing.assert_array_equal(denoise(clean), clean)


def test_slices_are_denoised_one_by_one():
    volume = noisy()
    once = NonLocalMeans()(np.repeat(volume[..., :1], 3, 2))
    np.testing.assert_allclose(once[..., 0], once[..., 2])
    other = volume.copy()
    other[..., 1:] = np.roll(volume[..., 1:], 1, axis=2)  # the same noise level
    for denoise in (NonLocalMeans(), TotalVariation()):
        np.testing.assert_allclose(denoise(volume)[..., 0], denoise(other)[..., 0])


def test_settings_and_volumes_are_checked():
    with pytest.raises(ConfigError, match="strength: is a number above 0"):
        TotalVariation(0)
    with pytest.raises(ConfigError, match="patch_size: is a number above 0"):
        NonLocalMeans(patch_size=0)
    with pytest.raises(ConfigError, match="dimensions: is 2 or 3"):
        NonLocalMeans(dimensions=4)
    with pytest.raises(DataError, match="is in HU"):
        NonLocalMeans()(phantom() + 1024)

"""Rician noise by the moments of its distribution."""

import numpy as np
import pytest
from scipy import stats

from common.errors import ConfigError
from common.simulation.corruptions.noise import RicianNoise, rician


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("signal", [0.0, 0.1, 0.5])
def test_noise_has_the_mean_and_deviation_of_a_rice_distribution(kind, signal):
    """By SciPy; of signal 0 it is Rayleigh's."""
    seen = rician(np.full((60, 60, 60), signal, kind), 0.1, np.random.default_rng(0))
    expected = stats.rice(signal / 0.1, scale=0.1)
    assert seen.dtype == kind
    assert seen.mean() == pytest.approx(expected.mean(), rel=0.005)
    assert seen.std() == pytest.approx(expected.std(), rel=0.01)


def test_the_level_is_relative_to_the_robust_maximum():
    """One voxel of 9000 in 16,000 is no part of it; in air the mean is sqrt(pi / 2) of 50."""
    volume = np.zeros((40, 40, 10))
    volume[20:] = 500
    volume[30, 30, 5] = 9000
    noisy = RicianNoise(0.1)(volume, (1, 1, 1), np.random.default_rng(0))
    assert noisy[:20].mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.02)
    assert np.delete(noisy[20:].ravel(), 10 * 400 + 305).std() == pytest.approx(50, rel=0.03)
    assert noisy.dtype == np.float32
    with pytest.raises(ConfigError, match="--level is .*, not above 0: pass a number such as 0.1, for"):
        RicianNoise(0)

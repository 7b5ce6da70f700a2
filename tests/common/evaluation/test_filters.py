"""Non-local means and total variation on a phantom of two tissues with noise of a known size."""

from __future__ import annotations

import numpy as np
import pytest
from two_tissues import SIGMA, noisy_tissues, two_tissues

from common.errors import ConfigError
from common.evaluation.filters import NonLocalMeans, TotalVariation


def level(volume: np.ndarray) -> float:
    """The known one of this phantom, 0 of the clean one."""
    return SIGMA if np.ptp(volume[30:40, 30:40]) else 0.0


@pytest.mark.parametrize("denoise", [NonLocalMeans(level), TotalVariation(level)])
def test_noise_falls_and_edges_stay(denoise):
    clean, found = two_tissues(), denoise(noisy_tissues())
    flat = np.zeros(clean.shape, dtype=bool)
    flat[13:23, 13:23] = True
    assert found.shape == clean.shape
    assert (found - clean)[flat].std() < SIGMA / 2
    assert found[13:23, 13:23].mean() - found[30:40, 30:40].mean() == pytest.approx(100, abs=10)
    np.testing.assert_array_equal(denoise(clean), clean)


def test_slices_are_denoised_one_by_one():
    volume = noisy_tissues()
    once = NonLocalMeans(level)(np.repeat(volume[..., :1], 3, 2))
    np.testing.assert_allclose(once[..., 0], once[..., 2])
    other = volume.copy()
    other[..., 1:] = np.roll(volume[..., 1:], 1, axis=2)
    for denoise in (NonLocalMeans(level), TotalVariation(level)):
        np.testing.assert_allclose(denoise(volume)[..., 0], denoise(other)[..., 0])


def test_settings_of_filters_are_checked():
    with pytest.raises(ConfigError, match="strength is .*, not above 0: pass a number above 0"):
        TotalVariation(level, 0)
    with pytest.raises(ConfigError, match="patch_size is .*, not above 0: pass a number"):
        NonLocalMeans(level, patch_size=0)

"""The noise level of CT on a phantom of two tissues with noise of a known size."""

from __future__ import annotations

import numpy as np
import pytest
from ldct_wgan_vgg.classical import noise_level
from two_tissues import SIGMA, noisy_tissues, two_tissues

from common.errors import DataError
from common.evaluation.filters import NonLocalMeans
from common.simulation.corruptions.low_dose import LowDose


def test_the_noise_level_is_that_of_soft_tissue():
    assert noise_level(noisy_tissues()) == pytest.approx(SIGMA, rel=0.1)
    assert noise_level(two_tissues()) == 0
    assert noise_level(np.full((9, 9, 1), -1000.0)) == 0


def test_the_correlated_noise_of_a_soft_kernel_is_seen():
    """Differences of neighbours hold two fifths of its variance, the squares of 5 pixels two thirds."""
    away = np.hypot(*np.ogrid[-32:32, -32:32])
    water = np.repeat(np.where(away < 28, 0.0, -1000.0)[..., None], 6, 2)
    low = LowDose(0.25, views=90, bow_tie=168)(water, (3, 3, 3), np.random.default_rng(0))
    true = low[away < 20].std()
    assert np.diff(low, axis=0)[away[1:] < 20].std() / np.sqrt(2) < 0.7 * true
    assert noise_level(low) == pytest.approx(true, rel=0.25)


def test_volumes_that_are_no_ct_are_refused():
    with pytest.raises(DataError, match="convert it to HU"):
        NonLocalMeans(noise_level)(two_tissues() + 1024)

"""Two tissues in air with noise of a known size, which denoising is tried on."""

from __future__ import annotations

import numpy as np

SIGMA = 20.0
"""Standard deviation of the noise, outside air."""


def two_tissues() -> np.ndarray:
    """Air at -1000, 0 and a square of 100, (48, 48, 4)."""
    volume = np.full((48, 48, 4), -1000.0)
    volume[4:44, 4:44] = 0
    volume[10:26, 10:26] = 100
    return volume


def noisy_tissues() -> np.ndarray:
    """The same with noise."""
    clean = two_tissues()
    return np.where(clean > -1000, clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape), clean)

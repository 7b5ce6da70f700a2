"""The published phantom: a head of soft tissue, skull, air and metal, and a prediction with known scores."""

from __future__ import annotations

import numpy as np
import pytest

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


def _phantom(shape: tuple[int, int, int]) -> Case:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    r = np.sqrt((z / 0.9) ** 2 + (y / 0.85) ** 2 + (x / 0.8) ** 2)
    ct = np.full(shape, -1000.0)
    ct[r < 1] = 40 + 30 * np.sin(6 * y[r < 1]) * np.cos(5 * x[r < 1])
    shell = (r < 1) & (r > 0.88)
    ct[shell] = 900 + 400 * np.sin(9 * z[shell] + 3 * x[shell])
    ct[((z + 0.1) ** 2 + (y - 0.45) ** 2 + x**2) < 0.02] = -950
    ct[((z - 0.2) ** 2 + (y + 0.3) ** 2 + (x - 0.2) ** 2) < 0.004] = 3050
    mask = (r < 1.05).astype(np.uint8)
    pred = ct + 25 * np.sin(17 * x + 11 * y) * np.cos(13 * z) + 15
    pred = np.where(shell, pred - 120, pred)
    pred = np.where(mask == 0, -1000 + 10 * np.cos(20 * x), pred)
    return pred.astype(np.float32), ct.astype(np.float32), mask


@pytest.fixture(scope="session")
def small_phantom() -> Case:
    """Prediction, truth and mask (40, 72, 64) in HU."""
    return _phantom((40, 72, 64))


@pytest.fixture(scope="session")
def large_phantom() -> Case:
    """Prediction, truth and mask (112, 128, 104) in HU."""
    return _phantom((112, 128, 104))

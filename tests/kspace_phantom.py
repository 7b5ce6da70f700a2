"""K-space of a small phantom: what tests of corruptions and of the consistency with measured samples share."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.data import shepp_logan_phantom
from skimage.transform import resize

from common.simulation.corruptions.kspace import measured, simulated_phase, simulated_sensitivities

SHAPE = (48, 40)
WHOLE = np.ones(SHAPE, dtype=bool)


def truth() -> np.ndarray:
    """A smoothed Shepp-Logan phantom of 1000, (48, 40)."""
    return 1000 * gaussian_filter(resize(shepp_logan_phantom(), SHAPE, order=1), 0.7)


def scanned(coils: int, mask: np.ndarray, noise: float = 0.0, phase: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """K-space (coils, 48, 40) of the phantom, and the sensitivities with its phase."""
    rng = np.random.default_rng(1)
    sensitivities = simulated_sensitivities(SHAPE, coils, rng)
    turned = np.exp(1j * simulated_phase(SHAPE, phase, rng))
    return measured(truth() * turned, sensitivities, mask, noise, rng), sensitivities * turned


def head(shape: tuple[int, int, int] = (32, 40, 6)) -> np.ndarray:
    """An ellipsoid of 600 with a square of 900, in a scanner's grey scale; the first slice is empty."""
    places = np.ogrid[tuple(slice(-1, 1, n * 1j) for n in shape)]
    volume = 600.0 * (sum((each / 0.8) ** 2 for each in places[:2]) + 0 * places[2] < 1)
    volume[12:18, 14:24] *= 1.5
    volume[..., 0] = 0
    return volume

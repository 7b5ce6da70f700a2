"""Noise of magnitude MR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ConfigError
from ..grid import Volume
from .magnitude import checked_magnitude, is_number, robust_maximum


def rician(image: NDArray[np.floating], sigma: float, rng: np.random.Generator) -> NDArray[Any]:
    """Noise of a magnitude image: sqrt((m + n1)^2 + n2^2) (Gudbjartsson and Patz 1995, Magn Reson Med 34:910).

    MONAI's ``RandRicianNoise`` has the same formula, but draws from a legacy generator of its own, in double precision.

    Args:
        image: of any shape; noise is drawn in its precision.
        sigma: standard deviation of n1 and n2, in the unit of the image.
        rng: draws n1, then n2.
    """
    kind = image.dtype.type
    real, imaginary = (kind(sigma) * rng.standard_normal(image.shape, dtype=kind) for _ in range(2))
    magnitude: NDArray[Any] = np.hypot(image + real, imaginary)
    return magnitude


class RicianNoise:
    """Noise of a magnitude image relative to its brightness, see :func:`rician`.

    Args:
        level: standard deviation of both channels over the robust maximum of the volume, that is its
            ``SCALE_PERCENTILE``-th percentile: the inverse of the signal-to-noise ratio of the brightest tissue.

    Raises:
        ConfigError: ``level`` is not above 0.
    """

    def __init__(self, level: float = 0.1) -> None:
        if not is_number(level) or not level > 0:
            raise ConfigError(
                f"--level is {level!r}, not above 0", "pass a number such as 0.1, for 10 % of the robust maximum"
            )
        self.level = level

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The noisy magnitude, (X, Y, Z).

        Raises:
            DataError: see :func:`~common.simulation.corruptions.magnitude.checked_magnitude`.
        """
        given = checked_magnitude(volume)
        noisy: Volume = rician(given.astype(np.float64), self.level * robust_maximum(given), rng).astype(np.float32)
        return noisy

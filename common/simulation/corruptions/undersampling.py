"""MR of an undersampled k-space, which is simulated from a magnitude volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ConfigError
from ...stitching import plane_axis
from ..grid import Volume
from .kspace import Complex, measured, simulated_phase, simulated_sensitivities, zero_filled
from .magnitude import checked_magnitude, from_slices, is_number, robust_maximum, to_slices
from .masks import Mask, centre_fraction_of, sampling_mask


@dataclass(frozen=True)
class Scanned:
    """A simulated scan: the zero-filled volume (X, Y, Z), k-space (slices, coils, rows, columns) and its mask."""

    volume: Volume
    kspace: Complex
    mask: Mask


class Undersampled:
    """Zero-filled MR of an undersampled k-space that is simulated from a magnitude volume, slice by slice.

    One mask, phase and set of sensitivities serve all slices of a volume, as in a 2-D multi-slice scan. Phase and
    sensitivities are simulated. Columns, the phase encoding, are the first axis of the plane: left-right of axial and
    coronal slices, posterior-anterior of sagittal ones.

    Args:
        mask: one of :data:`~common.simulation.corruptions.masks.MASKS`.
        acceleration: above 1, see :func:`~common.simulation.corruptions.masks.sampling_mask`.
        centre_fraction: fully measured in the middle, see :func:`~common.simulation.corruptions.masks.sampling_mask`.
        noise: standard deviation of real and imaginary part over the robust maximum of the volume, that is its
            ``SCALE_PERCENTILE``-th percentile.
        coils: number of receive coils.
        largest_phase: of the simulated phase, in radians; 0 for none.
        plane: of the slices; ``axial``, ``coronal`` or ``sagittal``.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self,
        mask: str = "cartesian",
        acceleration: float = 4,
        centre_fraction: float | None = None,
        noise: float = 0.0,
        coils: int = 1,
        largest_phase: float = 1.5,
        plane: str = "axial",
    ) -> None:
        centre_fraction_of(mask, acceleration, centre_fraction)
        if not is_number(noise) or noise < 0:
            raise ConfigError(
                f"--noise is {noise!r}, not 0 or more", "pass a number such as 0.01, for 1 % of the robust maximum"
            )
        simulated_phase((1, 1), largest_phase, np.random.default_rng(0))
        simulated_sensitivities((1, 1), coils, np.random.default_rng(0))
        self.axis = plane_axis(plane)
        self.mask = mask
        self.acceleration = acceleration
        self.centre_fraction = centre_fraction
        self.noise = noise
        self.coils = coils
        self.largest_phase = largest_phase
        self.plane = plane

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The zero-filled magnitude, (X, Y, Z).

        Raises:
            DataError: see :func:`~common.simulation.corruptions.magnitude.checked_magnitude`.
            ConfigError: the slices are too small for the mask.
        """
        given = checked_magnitude(volume)
        mask, scans = self._scans(given, rng)
        return self._stacked([zero_filled(kspace, mask) for kspace in scans])

    def scan(self, volume: ArrayLike, rng: np.random.Generator) -> Scanned:
        """The zero-filled magnitude as by a call, and the simulated k-space itself."""
        given = checked_magnitude(volume)
        mask, scans = self._scans(given, rng)
        kspace = np.stack([each.astype(np.complex64) for each in scans])
        return Scanned(self._stacked([zero_filled(each, mask) for each in kspace]), kspace, mask)

    def _scans(self, volume: Volume, rng: np.random.Generator) -> tuple[Mask, Iterator[Complex]]:
        """The mask (rows, columns), and one k-space (coils, rows, columns) after the other."""
        slices = to_slices(volume, self.axis)
        shape = (slices.shape[1], slices.shape[2])
        seed = int(rng.integers(2**63))
        mask = sampling_mask(self.mask, shape, self.acceleration, self.centre_fraction, seed)
        turned = np.exp(1j * simulated_phase(shape, self.largest_phase, rng))
        sensitivities = simulated_sensitivities(shape, self.coils, rng)
        noise = self.noise * robust_maximum(volume)
        return mask, (
            measured(each * turned, sensitivities, mask, noise, np.random.default_rng((seed, index)))
            for index, each in enumerate(slices)
        )

    def _stacked(self, slices: list[NDArray[np.floating]]) -> Volume:
        return from_slices(np.stack(slices).astype(np.float32), self.axis)

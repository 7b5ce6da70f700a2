"""CT at a lower dose: noise inserted into the projections of a given CT."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ConfigError, choose
from ..ct import CT_RANGE_HU
from .magnitude import is_number
from .projection import (
    KERNELS,
    MU_WATER,
    Image,
    angles,
    attenuation,
    back_projection,
    body_circle,
    checked_ct,
    hounsfield,
    pixel_of,
    projections,
)

SIMULATED = "SIMULATED CT at {0.dose:g} of its dose: inserted noise, not a scan"
"""Text for the header of a file, to be formatted with the :class:`LowDose`."""
LEAST_COUNT = 1.0
"""Rays with fewer counts are taken to have this many, so that the logarithm of a starved ray is finite."""


class LowDose:
    """CT in HU at a fraction of its dose: :math:`low = given + FBP(\\ln(N_0 / counts) - p)` in every axial slice.

    p are the line integrals of the given slice, N0 the photons of a ray behind the bow-tie filter, and counts =
    Poisson(N0 exp(-p)) + Normal(0, electronic noise). Only the noise is reconstructed: resolution, calibration and
    noise of the given image stay. The bias of the logarithm at low counts and the streaks of starved rays are there.

    The given image has the noise of its own full dose F. What its variance at the dose d has more is that of
    F d / (1 - d) photons: 1/(d F) - 1/F = (1 - d)/(d F), and with electronic noise of the standard deviation s also
    s^2/(d F)^2 - s^2/F^2, that of s sqrt((1 + d)/(1 - d)) at those photons. At a dose of 1 the image is unchanged.

    Args:
        dose: fraction of the full dose, above 0 to 1; 0.25, 0.1 and 0.05 are usual.
        photons: of a ray of the full-dose scan without an object, in one view and one pixel's width. The default gives
            the middle of a cylinder of water of 300 mm a noise of 16 HU at full dose, at 0.7 mm with the soft kernel.
        electronic_noise: standard deviation of a ray's electronic noise, in photons.
        views: in 180 degrees. More views at the same ``photons`` are more dose.
        kernel: ``soft`` or ``sharp``, see :data:`~common.simulation.corruptions.projection.KERNELS`.
        bow_tie: diameter in mm of the cylinder of water in the middle of the image behind which the filter makes all
            rays alike; null for no filter.
        noiseless: whether the given image has no noise, as a phantom: all the noise of the dose is then added, at a
            dose of 1 too.

    Raises:
        ConfigError: a setting is out of its range.

    Source: noise insertion by Yu et al. 2012, J Comput Assist Tomogr 36:477; Poisson counts and Gaussian electronic
    noise by Zeng et al. 2015, IEEE Trans Nucl Sci 62:2226; the electronic part between two doses by Zabic et al. 2013,
    Med Phys 40:031102.
    """

    def __init__(
        self,
        dose: float,
        photons: float = 1.0e6,
        electronic_noise: float = 3.0,
        views: int = 360,
        kernel: str = "soft",
        bow_tie: float | None = None,
        noiseless: bool = False,
    ) -> None:
        if not is_number(dose) or not 0 < dose <= 1:
            fault = f"--dose is {dose!r}, not a fraction of the full dose, above 0 and at most 1"
            raise ConfigError(fault, "pass a number such as 0.25, for a quarter of the dose")
        if not is_number(photons) or not photons > 0:
            raise ConfigError(f"--photons is {photons!r}, not above 0", "pass the photons of one ray, such as 1.0e6")
        if not is_number(electronic_noise) or electronic_noise < 0:
            raise ConfigError(f"--electronic_noise is {electronic_noise!r}, not 0 or more photons", "give 0 for none")
        if bow_tie is not None and (not is_number(bow_tie) or not bow_tie > 0):
            fault = f"--bow_tie is {bow_tie!r}, not a diameter in mm above 0"
            raise ConfigError(fault, "pass the diameter of a water cylinder in mm, or omit it for no filter")
        if kernel not in KERNELS:
            raise ConfigError(f"--kernel is {kernel!r}", choose(KERNELS))
        angles(views)
        self.dose = float(dose)
        self.photons = float(photons)
        self.electronic_noise = float(electronic_noise)
        self.views = views
        self.kernel = kernel
        self.bow_tie = bow_tie
        self.noiseless = noiseless

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> NDArray[np.floating]:
        """The CT at the lower dose in HU, (X, Y, Z) floats, not rounded; noise goes no lower than -1024 HU.

        Args:
            volume: CT in HU, (X, Y, Z), its slices axial (right-anterior-superior).
            spacing: along X, Y and Z in mm.
            rng: gives one seed; the noise of a slice depends on it and the slice's index alone.

        Raises:
            DataError: see ``checked_ct`` and ``pixel_of`` of :mod:`common.simulation.corruptions.projection`.
        """
        given, pixel = checked_ct(volume), pixel_of(spacing)
        seed = int(rng.integers(2**63))
        low: NDArray[np.floating] = given.copy()
        if self.dose == 1 and not self.noiseless:
            return low
        for index in range(given.shape[2]):
            low[..., index] += self.noise(given[..., index], pixel, np.random.default_rng((seed, index)))
        return np.asarray(np.maximum(low, np.minimum(given, np.asarray(CT_RANGE_HU[0], given.dtype))))

    def noise(self, hu: ArrayLike, pixel_mm: float, rng: np.random.Generator) -> Image:
        """Noise of one slice in HU, (X, Y): 0 outside the circle around the body.

        Args:
            hu: the slice, (X, Y).
            pixel_mm: side of a pixel in mm.
            rng: draws counts and electronic noise.
        """
        mu = attenuation(hu)
        circle = body_circle(mu)
        integrals = projections(circle.cut(mu), pixel_mm, self.views)
        photons, electronic = self._photons_and_electronic()
        blank = photons * self.filtered(len(integrals), pixel_mm)[:, None]
        counts = rng.poisson(blank * np.exp(-integrals)) + rng.normal(0, electronic, integrals.shape)
        wrong = np.log(blank / np.maximum(counts, LEAST_COUNT)) - integrals
        return circle.placed(hounsfield(back_projection(wrong, pixel_mm, self.kernel)))

    def filtered(self, rays: int, pixel_mm: float) -> Image:
        """Transmission of the bow-tie filter for the rays of a view (S,), 1 in the middle.

        exp(-mu (D - chord)), where mu is that of water, D the diameter and chord the ray's path through the cylinder.
        """
        if self.bow_tie is None:
            return np.ones(rays)
        offsets = (np.arange(rays) - rays // 2) * pixel_mm
        chords = 2 * np.sqrt(np.maximum((self.bow_tie / 2) ** 2 - offsets**2, 0))
        return np.asarray(np.exp(-MU_WATER * (self.bow_tie - chords)))

    def _photons_and_electronic(self) -> tuple[float, float]:
        """Photons and electronic noise of the added noise, see the class."""
        if self.noiseless:
            return self.photons * self.dose, self.electronic_noise
        missing = 1 - self.dose
        return self.photons * self.dose / missing, self.electronic_noise * math.sqrt((1 + self.dose) / missing)

"""What makes MR fast, thick or noisy, simulated: undersampled k-space, thick slices, Rician noise.

Each is called with a magnitude volume (X, Y, Z) in the scanner's grey scale, the spacing along X, Y and Z in mm and a
random generator, and returns a volume of the same grid and grey scale. Axes are right-anterior-superior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import ndtr

from common.errors import ConfigError, DataError
from common.stitching import plane_axis
from mri_dagan.kspace import Complex, measured, simulated_phase, simulated_sensitivities, zero_filled
from mri_dagan.masks import Mask, centre_fraction_of, sampling_mask

Volume = NDArray[np.float32]
Degradation = Callable[[Volume, Sequence[float], np.random.Generator], Volume]
"""Gives the degraded volume of a volume (X, Y, Z), its spacing in mm and a random generator."""
SCALE_PERCENTILE = 99.5
"""Of all voxels: the robust maximum that noise is relative to."""
LEAST_NEGATIVE = 0.2
"""Negative values of interpolated magnitudes are smaller than this part of the robust maximum."""
PROFILES = ("gaussian", "box")
FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""
LEAST_SLICES = 2
"""Thick slices that a volume has at the least."""


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
        mask: one of :data:`~mri_dagan.masks.MASKS`.
        acceleration: above 1, see :func:`~mri_dagan.masks.sampling_mask`.
        centre_fraction: fully measured in the middle, see :func:`~mri_dagan.masks.sampling_mask`.
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
        _require("noise", noise, "is a standard deviation over the robust maximum, at least 0", "give such as 0.01")
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
            DataError: see :func:`checked_magnitude`.
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


def to_slices(volume: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    """A volume (X, Y, Z) as slices (slices, rows, columns) across an axis; columns are the first of the other axes."""
    return np.moveaxis(volume, (axis, 0 if axis else 1), (0, 2))


def from_slices(slices: Volume, axis: int) -> Volume:
    """The inverse of :func:`to_slices`."""
    return np.ascontiguousarray(np.moveaxis(slices, (0, 2), (axis, 0 if axis else 1)))


class ThickSlices:
    """MR of thick slices, interpolated back onto the thin grid by cubic splines.

    A thick slice is the mean of the thin ones, weighted by its profile. Thick slices lie symmetrically in the volume.
    Interpolation stays within the range of the thick slices, and beyond the outermost ones repeats them.

    Args:
        thickness: of a slice in mm; the full width at half maximum of a Gaussian profile.
        gap: between slices in mm.
        profile: ``gaussian``, as that of a selective pulse, or ``box``.
        plane: of the slices; ``axial``, ``coronal`` or ``sagittal``.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self, thickness: float = 5.0, gap: float = 0.0, profile: str = "gaussian", plane: str = "axial"
    ) -> None:
        if not _is_number(thickness) or not thickness > 0:
            raise ConfigError("thickness", "is a number of mm above 0", repr(thickness), "give such as 5")
        _require("gap", gap, "is a number of mm, at least 0", "give 0 for none")
        if profile not in PROFILES:
            raise ConfigError("profile", f"is one of {', '.join(PROFILES)}", repr(profile), "choose one of them")
        self.axis = plane_axis(plane)
        self.thickness = thickness
        self.gap = gap
        self.profile = profile
        self.plane = plane

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The volume of thick slices on the given thin grid, (X, Y, Z); nothing is drawn at random.

        Raises:
            DataError: see :func:`checked_magnitude`; also where the slices are no thicker than those given, or the
                volume holds fewer than ``LEAST_SLICES`` of them.
        """
        given, thin = checked_magnitude(volume), float(spacing[self.axis])
        if not np.isfinite(thin) or not 0 < thin < self.thickness:
            remedy = "give a thickness above the distance of the given slices"
            raise DataError("volume", f"has slices below {self.thickness:g} mm apart", f"{thin:g} mm", remedy)
        count, step = given.shape[self.axis], self.thickness + self.gap
        slices = int((count * thin + self.gap + 1e-6) / step)
        if slices < LEAST_SLICES:
            rule = f"holds at least {LEAST_SLICES} slices of {step:g} mm"
            raise DataError("volume", rule, f"{count * thin:g} mm", "give a smaller thickness or more slices")
        places = np.arange(count) * thin
        centres = places.mean() + (np.arange(slices) - (slices - 1) / 2) * step
        weights = self._weights(np.abs(places - centres[:, None]), thin)
        thick = np.moveaxis(np.tensordot(weights, given, (1, self.axis)), 0, self.axis)
        return interpolated(thick, centres, places, self.axis)

    def _weights(self, distances: NDArray[np.float64], thin: float) -> NDArray[np.float64]:
        """Of thin slices (N,) in thick ones (M,), (M, N): the profile over the width of a thin slice, its sum 1."""
        ends = distances - thin / 2, distances + thin / 2
        if self.profile == "box":
            parts = np.clip(ends[1], None, self.thickness / 2) - np.clip(ends[0], -self.thickness / 2, None)
            weights = np.maximum(parts, 0)
        else:
            below, above = (ndtr(each * FWHM / self.thickness) for each in ends)
            weights = above - below
        return np.asarray(weights / weights.sum(1, keepdims=True))


def interpolated(
    volume: NDArray[np.floating], centres: NDArray[np.floating], places: NDArray[np.floating], axis: int
) -> Volume:
    """Slices of a volume (X, Y, Z) at other places along an axis, by cubic splines within the range of the volume.

    Args:
        volume: with a slice for each centre; the spline of two is linear, of three quadratic.
        centres: of its slices in mm, rising.
        places: of the wanted slices in mm; beyond the outermost centre, its slice is repeated.
        axis: of the slices.
    """
    spline = make_interp_spline(centres, volume, k=min(3, len(centres) - 1), axis=axis)
    made = spline(np.clip(places, centres[0], centres[-1]))
    return np.clip(made, volume.min(), volume.max()).astype(np.float32)


class RicianNoise:
    """Noise of a magnitude image: sqrt((m + n1)^2 + n2^2) (Gudbjartsson and Patz 1995, Magn Reson Med 34:910).

    Args:
        level: standard deviation of n1 and n2 over the robust maximum of the volume, that is its
            ``SCALE_PERCENTILE``-th percentile.

    Raises:
        ConfigError: ``level`` is not above 0.
    """

    def __init__(self, level: float = 0.1) -> None:
        if not _is_number(level) or not level > 0:
            remedy = "give such as 0.1 for 10 % of the maximum"
            raise ConfigError("level", "is a standard deviation over the robust maximum, above 0", repr(level), remedy)
        self.level = level

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The noisy magnitude, (X, Y, Z).

        Raises:
            DataError: see :func:`checked_magnitude`.
        """
        given = checked_magnitude(volume)
        first, second = rng.normal(0, self.level * robust_maximum(given), (2, *given.shape))
        return np.hypot(given + first, second).astype(np.float32)


def robust_maximum(volume: NDArray[np.floating]) -> float:
    """The ``SCALE_PERCENTILE``-th percentile of a volume, or its maximum where that is 0."""
    return float(np.percentile(volume, SCALE_PERCENTILE)) or float(volume.max())


def checked_magnitude(volume: ArrayLike, name: str = "MR") -> Volume:
    """Return a magnitude volume (X, Y, Z) as float32.

    Raises:
        DataError: not three-dimensional, complex, not finite, or with negative values beyond those of interpolation,
            as phase images and CT have them.
    """
    given = np.asarray(volume)
    if given.ndim != 3:
        raise DataError(name, "is one volume (X, Y, Z)", f"{given.ndim} dimensions", "give one volume")
    if np.iscomplexobj(given):
        raise DataError(name, "is a magnitude image", "complex values", "give their absolute value")
    values = given.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(name, "is finite everywhere", "NaN or infinite voxels", "fill or fix them")
    low = float(values.min())
    if low < 0 and low < -LEAST_NEGATIVE * robust_maximum(values):
        rule = "is a magnitude image, without negative values but those of interpolation"
        remedy = "give the magnitude image instead of a phase image or a CT"
        raise DataError(name, rule, f"{low:g} to {float(values.max()):g}", remedy)
    return values


def _require(name: str, value: object, rule: str, remedy: str) -> None:
    if not _is_number(value) or value < 0:  # type: ignore[operator]
        raise ConfigError(name, rule, repr(value), remedy)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Thick slices, on a grid of their own or back on the thin one, and slices in a wrong order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import ndtr

from ...errors import ConfigError, DataError, choose
from ...stitching import plane_axis
from ..grid import Volume
from .magnitude import checked_volume, is_number

PROFILES = ("gaussian", "box")
FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""
LEAST_SLICES = 2
"""Thick slices that a volume has at the least."""


def averaged(volume: Volume, axis: int, pitch: float, thick: float) -> Volume:
    """Thick slices: ``pitch`` pixels apart, each the mean of ``thick`` pixels; an incomplete last slice is dropped.

    A pixel that a slice covers in part counts with that part, so that slices have their thickness at every pixel size.

    Args:
        volume: (X, Y, Z).
        axis: across the slices.
        pitch: distance of the slices in pixels, gap included, at least 1; 1 leaves the volume as it is.
        thick: thickness of a slice in pixels.
    """
    if pitch == 1:
        return volume
    size = volume.shape[axis]
    starts, pixels = pitch * np.arange(int(size / pitch + 1e-6))[:, None], np.arange(size)
    covered = overlap((pixels, pixels + 1), (starts, starts + thick))
    sums = np.tensordot(covered.astype(np.float32), volume, (1, axis))
    return np.moveaxis(sums / np.float32(thick), 0, axis)


def overlap(first: tuple[ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike]) -> NDArray[np.float64]:
    """Length that intervals have in common with others, by their starts and ends, which broadcast."""
    common: NDArray[np.float64] = np.minimum(first[1], second[1]) - np.maximum(first[0], second[0])
    return np.maximum(common, 0)


def repeated(image: Volume, thickness_mm: float, spacing_mm: float) -> NDArray[Any]:
    """Means over thick axial slices, each written on the thin slices (X, Y, Z) that it holds, the last on what is left.

    Args:
        image: in any unit.
        thickness_mm: of a slice, rounded to at least two whole thin ones.
        spacing_mm: of the thin slices.
    """
    count = max(2, round(thickness_mm / spacing_mm))
    first = np.arange(0, image.shape[2], count)
    sizes = np.diff([*first, image.shape[2]])
    return np.repeat(np.add.reduceat(image, first, axis=2) / sizes, sizes, axis=2)


def shuffled(image: Volume, rng: np.random.Generator) -> Volume:
    """Axial slices of an image (X, Y, Z) in a random order, as of an unsorted series."""
    return image[:, :, rng.permutation(image.shape[2])]


class ThickSlices:
    """MR or CT of thick slices, interpolated back onto the thin grid by cubic splines.

    A thick slice is the mean of the thin ones, weighted by its profile. Thick slices lie symmetrically in the volume.
    Interpolation stays within the range of the thick slices, and beyond the outermost ones repeats them.

    TorchIO's ``Anisotropy`` takes single thin slices instead of their mean: aliasing, without partial volume.

    Args:
        thickness: of a slice in mm; the full width at half maximum of a Gaussian profile.
        gap: between slices in mm.
        profile: ``gaussian``, as that of a selective pulse of MR, or ``box``, the mean of thin slices of CT.
        plane: of the slices; ``axial``, ``coronal`` or ``sagittal``.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self, thickness: float = 5.0, gap: float = 0.0, profile: str = "gaussian", plane: str = "axial"
    ) -> None:
        if not is_number(thickness) or not thickness > 0:
            raise ConfigError(f"--thickness is {thickness!r}, not above 0 mm", "pass a number such as 5")
        if not is_number(gap) or gap < 0:
            raise ConfigError(f"--gap is {gap!r}, not 0 or more mm", "give 0 for none")
        if profile not in PROFILES:
            raise ConfigError(f"--profile is {profile!r}", choose(PROFILES))
        self.axis = plane_axis(plane)
        self.thickness = thickness
        self.gap = gap
        self.profile = profile
        self.plane = plane

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The volume of thick slices on the given thin grid, (X, Y, Z); nothing is drawn at random.

        Raises:
            DataError: see :func:`~common.simulation.corruptions.magnitude.checked_volume`; also where the slices are no
                thicker than those given, or the volume holds fewer than ``LEAST_SLICES`` of them.
        """
        given, thin = checked_volume(volume, "volume"), float(spacing[self.axis])
        if not np.isfinite(thin) or not 0 < thin < self.thickness:
            fault = f"slices are {thin:g} mm apart, not closer than --thickness {self.thickness:g} mm"
            raise DataError(fault, "raise --thickness")
        count, step = given.shape[self.axis], self.thickness + self.gap
        slices = int((count * thin + self.gap + 1e-6) / step)
        if slices < LEAST_SLICES:
            fault = f"the volume spans {count * thin:g} mm, less than {LEAST_SLICES} slices of {step:g} mm"
            raise DataError(fault, "lower --thickness, or give more slices")
        places = np.arange(count) * thin
        centres = places.mean() + (np.arange(slices) - (slices - 1) / 2) * step
        weights = self.weights(np.abs(places - centres[:, None]), thin)
        thick = np.moveaxis(np.tensordot(weights, given, (1, self.axis)), 0, self.axis)
        return interpolated(thick, centres, places, self.axis)

    def weights(self, distances: NDArray[np.float64], thin: float) -> NDArray[np.float64]:
        """Of thin slices in thick ones, (M, N): the profile over the width of a thin slice, its sum 1.

        Args:
            distances: between the middles of N thin and M thick slices in mm, (M, N).
            thin: width of a thin slice in mm.
        """
        ends = distances - thin / 2, distances + thin / 2
        if self.profile == "box":
            weights = overlap(ends, (-self.thickness / 2, self.thickness / 2))
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
    values = spline(np.clip(places, centres[0], centres[-1]))
    return np.asarray(np.clip(values, volume.min(), volume.max()), np.float32)

"""K-space of MR slices: simulated phase and coils, centred Fourier transforms, zero-filled images.

Arrays are (..., coils, rows, columns); rows are the readout, columns the phase encoding. Transforms are orthonormal, so
that noise has one standard deviation in the image and in k-space.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.signal.windows import hann

from ...errors import ConfigError
from .masks import Mask

Complex = NDArray[np.complexfloating]
Magnitude = NDArray[np.floating]
COIL_WIDTH = 0.6
"""Standard deviation of a simulated sensitivity over the width of the plane."""
COIL_RADIUS = 0.6
"""Distance of the simulated coils from the middle over the width of the plane."""
PHASE_WAVES = 2
"""Highest number of periods of a simulated phase along an axis, of half a plane each."""
LEAST_CENTRE = 4
"""Samples along an axis that sensitivities are estimated from at the least, measured or not."""


def to_kspace(image: ArrayLike) -> Complex:
    """The k-space (..., rows, columns) of complex images of this shape; frequency 0 is at (rows // 2, columns // 2)."""
    return centred(fft.fftn, image, (-2, -1))


def to_image(kspace: ArrayLike) -> Complex:
    """The complex images (..., rows, columns) of a k-space of this shape, the inverse of :func:`to_kspace`."""
    return centred(fft.ifftn, kspace, (-2, -1))


def centred(transform: Callable[..., Complex], values: ArrayLike, axes: tuple[int, ...]) -> Complex:
    """An orthonormal transform of ``scipy.fft`` along some axes, whose middles are the origins of both domains."""
    moved = transform(fft.ifftshift(np.asarray(values), axes), axes=axes, norm="ortho")
    return np.asarray(fft.fftshift(moved, axes))


def simulated_phase(shape: tuple[int, int], largest: float, rng: np.random.Generator) -> Magnitude:
    """A smooth phase in radians, (rows, columns), between -``largest`` and ``largest``; simulated, of no scanner.

    A sum of cosines of up to ``PHASE_WAVES`` half periods along each axis, with random weights. Real phases also have
    steps at vessels, fat and air, which this one lacks.

    Args:
        shape: of the plane.
        largest: absolute value in radians; 0 for none.
        rng: draws the weights.

    Raises:
        ConfigError: ``largest`` is negative or not finite.
    """
    if not np.isfinite(largest) or largest < 0:
        raise ConfigError(
            f"--largest_phase is {largest}, not 0 or more radians", "pass a number such as 1.5, or 0 for none"
        )
    waves = np.arange(PHASE_WAVES + 1)
    bases = [np.cos(np.pi * np.outer((np.arange(n) + 0.5) / n, waves)) for n in shape]
    phase: Magnitude = bases[0] @ rng.normal(size=(len(waves), len(waves))) @ bases[1].T
    return largest * phase / max(float(np.abs(phase).max()), np.finfo(float).tiny)


def simulated_sensitivities(shape: tuple[int, int], coils: int, rng: np.random.Generator) -> Complex:
    """Smooth sensitivities of coils on an ellipse around the plane, (coils, rows, columns); simulated, of no scanner.

    Gaussian profiles with a phase that rises linearly; the sum of their squared magnitudes is 1 everywhere. Of one coil
    it is 1.

    Args:
        shape: of the plane.
        coils: their number.
        rng: draws the place of the first coil, and phases.

    Raises:
        ConfigError: ``coils`` is no whole number above 0.
    """
    if isinstance(coils, bool) or not isinstance(coils, int | np.integer) or coils < 1:
        raise ConfigError(f"--coils is {coils!r}, not a whole number above 0", "pass 1, or a number such as 8")
    if coils == 1:
        return np.ones((1, *shape), dtype=np.complex128)
    rows, columns = np.meshgrid(*((np.arange(n) - n // 2) / n for n in shape), indexing="ij")
    turns = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(coils)[:, None, None] / coils
    away = (rows - COIL_RADIUS * np.sin(turns)) ** 2 + (columns - COIL_RADIUS * np.cos(turns)) ** 2
    ramps = np.pi * (rows * np.cos(turns) + columns * np.sin(turns)) + rng.uniform(0, 2 * np.pi, turns.shape)
    profiles = np.exp(-away / (2 * COIL_WIDTH**2) + 1j * ramps)
    return np.asarray(profiles / np.sqrt((np.abs(profiles) ** 2).sum(0)))


def measured(image: ArrayLike, sensitivities: Complex, mask: Mask, noise: float, rng: np.random.Generator) -> Complex:
    """Measured k-space (coils, rows, columns) of a complex image (rows, columns), 0 where the mask is not.

    Args:
        image: complex, or a magnitude.
        sensitivities: of the coils, (coils, rows, columns).
        mask: of the samples, (rows, columns).
        noise: standard deviation of real and imaginary part of a sample, in the image's grey scale; the same in the
            image of a coil, since transforms are orthonormal.
        rng: draws the noise.
    """
    samples = to_kspace(np.asarray(image) * sensitivities)
    drawn = rng.normal(0, noise, (2, *samples.shape)) if noise else np.zeros((2, *samples.shape))
    return np.where(mask, samples + drawn[0] + 1j * drawn[1], 0)


def zero_filled(kspace: Complex, mask: Mask) -> Magnitude:
    """Magnitudes (..., rows, columns) of a k-space (..., coils, rows, columns) with 0 for what is not measured.

    Coils are combined by their sensitivities, conj(S) x summed over coils (Roemer et al. 1990, Magn Reson Med 16:192).

    Args:
        kspace: measured samples.
        mask: (rows, columns); sensitivities are estimated from its fully measured middle.
    """
    return np.abs(combined(to_image(kspace), estimated_sensitivities(kspace, mask)))


def combined(images: Complex, sensitivities: Complex) -> Complex:
    """The complex image (..., rows, columns) of coil images (..., coils, rows, columns): sum of conj(S) x."""
    image: Complex = (np.conj(sensitivities) * images).sum(-3)
    return image


def estimated_sensitivities(kspace: Complex, mask: Mask) -> Complex:
    """Sensitivities (..., coils, rows, columns) with the image's smooth phase, from the fully measured middle.

    Images of low resolution over the root of their sum of squares (McKenzie et al. 2002, Magn Reson Med 47:529). An
    image combined by them has next to no phase. Where no coil has a signal each has the same share.

    Args:
        kspace: measured samples.
        mask: (rows, columns).
    """
    low = low_resolution(kspace, mask)
    root = np.sqrt((np.abs(low) ** 2).sum(-3, keepdims=True))
    even = np.full_like(low, 1 / np.sqrt(low.shape[-3]))
    np.divide(low, root, out=even, where=root > np.finfo(root.dtype).eps * root.max())
    return even


def low_resolution(kspace: Complex, mask: Mask) -> Complex:
    """Complex coil images (..., coils, rows, columns) of the measured middle alone, by a Hann window.

    The window is symmetric to frequency 0, so that it adds no phase.
    """
    windows = [np.ones(n) for n in mask.shape]
    for window, size in zip(windows, measured_middle(mask), strict=True):
        if size < len(window):
            half, middle = (size + 1) // 2, len(window) // 2
            window[:] = 0
            window[middle - half + 1 : middle + half] = hann(2 * half + 1)[1:-1]
    return to_image(kspace * np.outer(*windows))


def measured_middle(mask: Mask) -> tuple[int, int]:
    """Rows and columns of the largest fully measured box in the middle that has the proportions of the plane.

    At least ``LEAST_CENTRE`` along each axis, measured or not.
    """
    rows, columns = mask.shape
    side = 0
    while side < columns and mask[_box(mask, side + 1)].all():
        side += 1
    return max(round(rows * side / columns), LEAST_CENTRE), max(side, LEAST_CENTRE)


def _box(mask: Mask, side: int) -> tuple[slice, slice]:
    """The box in the middle with so many columns."""
    rows, columns = mask.shape
    return _middle(rows, max(round(rows * side / columns), 1)), _middle(columns, side)


def _middle(size: int, side: int) -> slice:
    """The ``side`` samples around frequency 0."""
    return slice(size // 2 - side // 2, size // 2 - side // 2 + side)

"""Artefacts of MR other than motion and noise: ringing, ghosts, spikes, fold-over, signal voids."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from ..grid import Volume


def truncated(image: Volume, axis: int, kept: float) -> Volume:
    """Image (X, Y, Z) of the central share of k-space along an axis, with zeros elsewhere.

    Edges ring with a period of ``2 / kept`` pixels (Gibbs; Haacke et al. 1999, ch. 12).

    MONAI's ``GibbsNoise`` cuts a ball of k-space, where a scan is truncated along one axis, and with an even number of
    samples its ball lies half a sample off the centre.

    Args:
        image: in any unit.
        axis: along which fewer lines were measured.
        kept: share of k-space from 0, which leaves the mean, to 1.
    """
    size = image.shape[axis]
    lines = np.moveaxis(fft.rfft(image, axis=axis), axis, 0)
    lines[int(kept * size / 2) + 1 :] = 0
    result: Volume = fft.irfft(np.moveaxis(lines, 0, axis), size, axis=axis)
    return result


def ghosted(image: Volume, axis: int, amplitude: float) -> Volume:
    """Image (X, Y, Z) with itself half a field of view away (Nyquist ghost; Haacke et al. 1999, ch. 19).

    Args:
        image: in any unit.
        axis: of phase encoding.
        amplitude: of the ghost, relative to the image.
    """
    ghost: Volume = np.float32(amplitude) * np.roll(image, image.shape[axis] // 2, axis)
    return image + ghost


def spiked(image: Volume, axis: int, amplitude: float, rng: np.random.Generator) -> Volume:
    """Image (X, Y, Z) with one wrong sample of k-space in a third of its slices: a wave of random direction and period.

    MONAI's ``KSpaceSpikeNoise`` wants the logarithm of the sample, which depends on the size of the image.

    Args:
        image: in any unit.
        axis: across the slices.
        amplitude: of the wave, in the unit of the image.
        rng: draws phase, direction, period and slices.
    """
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    for other in (other for other in range(3) if other != axis):
        size = image.shape[other]
        ramp = np.arange(size, dtype=np.float32).reshape([-1 if dim == other else 1 for dim in range(3)])
        angle = angle + np.float32(2 * np.pi * rng.integers(size // 2) / size) * ramp
    hit = np.less(rng.random(image.shape[axis]), 1 / 3).reshape([-1 if dim == axis else 1 for dim in range(3)])
    wave: Volume = np.float32(amplitude) * hit * np.cos(angle)
    return image + wave


def folded(image: Volume, axis: int, view: slice) -> Volume:
    """Part of an image (X, Y, Z) along an axis, with what lies before it added to its end, and the reverse.

    The phase of a signal gives its place up to a multiple of the field of view (Haacke et al. 1999, ch. 12); at most
    one such multiple at each end is folded over.

    Args:
        image: in any unit.
        axis: of phase encoding.
        view: field of view in pixels.
    """
    moved = np.moveaxis(image, axis, 0)
    inside = moved[view].copy()
    size = len(inside)
    before, after = moved[max(view.start - size, 0) : view.start], moved[view.stop : view.stop + size]
    inside[size - len(before) :] += before
    inside[: len(after)] += after
    return np.moveaxis(inside, 0, axis)


def void_around(metal: Volume, reach_mm: float, pixel_mm: float) -> Volume:
    """Factor (X, Y, Z) of the signal near metal, whose field dephases it: none within ``reach_mm``, all 3 mm further.

    Args:
        metal: its fraction of each voxel (X, Y, Z).
        reach_mm: of the void around the metal.
        pixel_mm: size of the voxels.
    """
    factor: Volume = np.ones(metal.shape, np.float32)
    places = np.argwhere(metal > 0)
    if not len(places):
        return factor
    margin = int(np.ceil((reach_mm + 3) / pixel_mm)) + 1
    low, high = np.maximum(places.min(0) - margin, 0), places.max(0) + margin + 1
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    factor[box] = np.clip((ndimage.distance_transform_edt(metal[box] == 0) * pixel_mm - reach_mm) / 3, 0, 1)
    return factor

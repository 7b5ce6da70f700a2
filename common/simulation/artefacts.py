"""Artefacts of MR: ringing, zero filling, motion, ghosts, spikes and fold-over, each drawn once per case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, sparse

from .grid import Volume
from .physics import Range, drawn
from .sampling import Sampling

LEAST_EXTENT_MM = 90.0
"""Smallest extent of the field of view along an axis."""


@dataclass(frozen=True)
class Artefacts:
    """Random artefacts of a scan; all probabilities and ranges are [chosen], more frequent than in a good archive.

    Args:
        truncation_probability: probability that the outer k-space along the phase axis was not measured but filled with
            zeros: fewer details, and ringing beside edges (Gibbs).
        both_probability: probability that a truncated scan is so along the other axis of the slices too, by another
            share.
        kept: share of k-space that is kept; 0.6 is a matrix of 154 of 256.
        motion_probability: probability that the head moved during the scan.
        movements: fewest and most times that it moved to another position, each for a random segment of k-space.
        motion_mm: translation in the plane of the slices.
        motion_degrees: rotation in the plane of the slices.
        ghost_probability: probability of a ghost of the head, shifted by half the field of view along the phase axis.
        ghost: amplitude of the ghost, relative to the image.
        spike_probability: probability of spikes: one wrong sample of k-space in a third of the slices.
        spike: amplitude of their waves, relative to the brightest voxel.
        wrap_probability: probability of a field of view along the phase axis that is smaller than the head.
        wrap_mm: extent of the head outside it, at both ends together.
    """

    truncation_probability: float = 0.25
    both_probability: float = 0.4
    kept: Range = (0.45, 0.9)
    motion_probability: float = 0.1
    movements: Sequence[int] = (1, 3)
    motion_mm: Range = (0.3, 2.5)
    motion_degrees: Range = (0.0, 2.5)
    ghost_probability: float = 0.15
    ghost: Range = (0.01, 0.06)
    spike_probability: float = 0.03
    spike: Range = (0.01, 0.06)
    wrap_probability: float = 0.06
    wrap_mm: Range = (5.0, 35.0)

    def __call__(self, image: Volume, sampling: Sampling, rng: np.random.Generator) -> Volume:
        """Signal (X, Y, Z) in any unit with its artefacts; ringing may be negative, as in a real part."""
        if rng.random() < self.motion_probability:
            image = self._moved(image, sampling, rng)
        if rng.random() < self.truncation_probability:
            other = 3 - sampling.axis - sampling.phase
            for axis in (sampling.phase, other) if rng.random() < self.both_probability else (sampling.phase,):
                image = truncated(image, axis, drawn(self.kept, rng.random(), "kept"))
        if rng.random() < self.ghost_probability:
            strength = np.float32(drawn(self.ghost, rng.random(), "ghost"))
            image = image + strength * np.roll(image, image.shape[sampling.phase] // 2, sampling.phase)
        if rng.random() < self.spike_probability:
            image = spiked(image, sampling.axis, drawn(self.spike, rng.random(), "spike") * float(image.max()), rng)
        return image

    def wrapped(self, sampling: Sampling, head: np.ndarray, rng: np.random.Generator) -> Sampling:
        """The sampling with a smaller field of view that folds, or as it was; ``head`` is the mask (X, Y, Z)."""
        if rng.random() >= self.wrap_probability:
            return sampling
        outside, first_share = drawn(self.wrap_mm, rng.random(), "wrap_mm") / sampling.pixel, rng.random()
        across = tuple(axis for axis in range(3) if axis != sampling.phase)
        inside = np.flatnonzero(head.any(axis=across))
        start = int(inside[0]) + round(first_share * outside)
        stop = int(inside[-1]) + 1 - round((1 - first_share) * outside)
        if (stop - start) * sampling.pixel < LEAST_EXTENT_MM:
            return sampling
        view = tuple(slice(start, stop) if axis == sampling.phase else part for axis, part in enumerate(sampling.view))
        return sampling._replace(view=view, folds=True)

    def _moved(self, image: Volume, sampling: Sampling, rng: np.random.Generator) -> Volume:
        """The image of a head that was elsewhere during segments of k-space, never while its centre was measured."""
        fewest, most = self.movements
        turns, shifts, segments = [], [], []
        for _ in range(int(rng.integers(fewest, most + 1))):
            turns.append(float(rng.choice((-1, 1))) * drawn(self.motion_degrees, rng.random(), "motion_degrees"))
            direction = rng.uniform(0, 2 * np.pi)
            distance = drawn(self.motion_mm, rng.random(), "motion_mm") / sampling.pixel
            shifts.append((distance * np.cos(direction), distance * np.sin(direction)))
            side, (start, stop) = rng.integers(2), np.sort(rng.uniform(0.02, 0.5, 2))
            segments.append((0.5 + start, 0.5 + stop) if side else (0.5 - stop, 0.5 - start))
        return moved(image, sampling.axis, sampling.phase, turns, shifts, segments)


def void_around(metal: Volume, reach_mm: float, pixel: float) -> Volume:
    """Factor (X, Y, Z) of the signal near metal, whose field dephases it: none within ``reach_mm``, all 3 mm further.

    Args:
        metal: its fraction of each voxel (X, Y, Z).
        reach_mm: of the void around the metal.
        pixel: size of the voxels in mm.
    """
    factor: Volume = np.ones(metal.shape, np.float32)
    places = np.argwhere(metal > 0)
    if not len(places):
        return factor
    margin = int(np.ceil((reach_mm + 3) / pixel)) + 1
    low, high = np.maximum(places.min(0) - margin, 0), places.max(0) + margin + 1
    box = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))
    factor[box] = np.clip((ndimage.distance_transform_edt(metal[box] == 0) * pixel - reach_mm) / 3, 0, 1)
    return factor


def truncated(image: Volume, axis: int, kept: float) -> Volume:
    """Image (X, Y, Z) of the central share of k-space along an axis, the rest of which is zero.

    Edges ring with a period of ``2 / kept`` pixels (Haacke et al. 1999, ch. 12).
    """
    size = image.shape[axis]
    lines = np.moveaxis(fft.rfft(image, axis=axis), axis, 0)
    lines[int(kept * size / 2) + 1 :] = 0
    result: Volume = fft.irfft(np.moveaxis(lines, 0, axis), size, axis=axis)
    return result


def moved(
    image: Volume,
    axis: int,
    phase: int,
    turns: Sequence[float],
    shifts: Sequence[tuple[float, float]],
    segments: Sequence[tuple[float, float]],
) -> Volume:
    """Magnitude of an image (X, Y, Z) whose head was elsewhere during segments of k-space along the phase axis.

    Args:
        image: of the head in its first position.
        axis: across the slices.
        phase: axis of phase encoding.
        turns: rotation in the plane of the slices in each segment, in degrees.
        shifts: translation in that plane in each segment, in pixels.
        segments: start and end of each, of k-space from 0 to 1 with its centre at 0.5.
    """
    size = image.shape[phase]
    places = (fft.fftfreq(size) + 0.5) % 1
    lines = np.moveaxis(fft.fft(image, axis=phase), phase, 0)
    for turn, shift, (start, stop) in zip(turns, shifts, segments, strict=True):
        during = (places >= start) & (places < stop)
        elsewhere = fft.fft(displaced(image, axis, turn, shift), axis=phase)
        lines[during] = np.moveaxis(elsewhere, phase, 0)[during]
    magnitude: Volume = np.abs(fft.ifft(np.moveaxis(lines, 0, phase), axis=phase))
    return magnitude


def displaced(image: Volume, axis: int, turn: float, shift: tuple[float, float]) -> Volume:
    """Image (X, Y, Z) turned by degrees and shifted by pixels in the plane across an axis, by linear interpolation.

    All slices share one matrix of weights, which is much faster than to interpolate each; beyond the border it is the
    border.
    """
    slices = np.moveaxis(image, axis, 2)
    height, width = slices.shape[:2]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    rows, columns = np.indices((height, width)).reshape(2, -1)
    y, x = rows - (height - 1) / 2 - shift[0], columns - (width - 1) / 2 - shift[1]
    at = (cosine * y + sine * x + (height - 1) / 2, cosine * x - sine * y + (width - 1) / 2)
    low = [np.clip(np.floor(place), 0, size - 2).astype(int) for place, size in zip(at, (height, width), strict=True)]
    part = [np.clip(place - first, 0, 1).astype(np.float32) for place, first in zip(at, low, strict=True)]
    weights, pixels = [], []
    for down in (0, 1):
        for right in (0, 1):
            weights.append((part[0] if down else 1 - part[0]) * (part[1] if right else 1 - part[1]))
            pixels.append((low[0] + down) * width + low[1] + right)
    outputs = np.tile(np.arange(height * width), 4)
    matrix = sparse.csr_array((np.concatenate(weights), (outputs, np.concatenate(pixels))), (height * width,) * 2)
    turned = (matrix @ slices.reshape(height * width, -1)).reshape(slices.shape)
    return np.moveaxis(turned, 2, axis)


def spiked(image: Volume, axis: int, amplitude: float, rng: np.random.Generator) -> Volume:
    """Image (X, Y, Z) with a wave of random direction and period in a third of its slices."""
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    for other in (other for other in range(3) if other != axis):
        size = image.shape[other]
        ramp = np.arange(size, dtype=np.float32).reshape([-1 if dim == other else 1 for dim in range(3)])
        angle = angle + np.float32(2 * np.pi * rng.integers(size // 2) / size) * ramp
    hit = np.less(rng.random(image.shape[axis]), 1 / 3).reshape([-1 if dim == axis else 1 for dim in range(3)])
    wave: Volume = np.float32(amplitude) * hit * np.cos(angle)
    return image + wave

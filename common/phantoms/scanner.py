"""Simulated image degradation: resolution, thick slices, field of view, bias field, ghosts, noise, grey scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from common.phantoms.grid import Volume, smooth_noise, to_voxels
from common.phantoms.physics import Range, drawn

BIAS_SMOOTHNESS_MM = (30.0, 60.0)
TEXTURE_SMOOTHNESS_MM = 8.0
LEAST_EXTENT_MM = 90.0
"""Smallest extent of the field of view along an axis after cropping."""


@dataclass(frozen=True)
class Scanner:
    """Random scanner: ranges of all degradations, each drawn once per case.

    Args:
        blur_mm: standard deviation of the Gaussian point spread; its upper end resembles an average over people.
        thick_probability: probability of slices that are thicker than pixels.
        thickness: fewest and most pixels of a thick slice, two or more.
        gap_probability: probability that a third of a thick slice is a gap.
        cut_mm: largest part of the field of view (200 x 240 x 200 mm) missing at each end: left and right, behind and
            in front, below, above.
        bias: standard deviation of the logarithm of the receive field (BrainWeb's fields of 20% and 40% have about 0.06
            and 0.12; surface coils and high field more).
        target_bias: share of the field's variance that source and target have in common.
        texture: relative standard deviation of the proton density within tissues.
        noise: standard deviation of each channel of the Rician noise, relative to the 99th percentile of the
            head, since operators average until an image is readable, whatever its sequence.
        ghost_probability: probability of a ghost of the head, shifted by half the field of view along one axis.
        ghost: amplitude of the ghost, relative to the image.
        gamma: exponent of the grey scale.
        window_percent: percentile of the head at which grey levels are clipped.
    """

    blur_mm: Range = (0.2, 1.4)
    thick_probability: float = 0.3
    thickness: Sequence[int] = (2, 3)
    gap_probability: float = 0.3
    cut_mm: Sequence[float] = (15.0, 30.0, 70.0, 15.0)
    bias: Range = (0.0, 0.25)
    target_bias: float = 0.7
    texture: Range = (0.0, 0.06)
    noise: Range = (0.002, 0.04)
    ghost_probability: float = 0.15
    ghost: Range = (0.01, 0.06)
    gamma: Range = (0.9, 1.15)
    window_percent: Range = (99.0, 100.0)

    def bias_fields(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> tuple[Volume, Volume]:
        """Smooth bias fields of source and target, (X, Y, Z) each, factors that share part of their variance."""
        strength = drawn(self.bias, rng.random(), "bias")
        smoothness = drawn(BIAS_SMOOTHNESS_MM, rng.random(), "bias smoothness")
        own, other = (to_voxels(smooth_noise(rng, smoothness), shape, spacing) for _ in range(2))
        shared = np.float32(self.target_bias**0.5) * own + np.float32((1 - self.target_bias) ** 0.5) * other
        return np.exp(np.float32(strength) * own), np.exp(np.float32(strength) * shared)

    def texture_field(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> Volume:
        """Texture shared by both images: a factor (X, Y, Z), finer than a bias field."""
        strength = drawn(self.texture, rng.random(), "texture")
        field = to_voxels(smooth_noise(rng, TEXTURE_SMOOTHNESS_MM), shape, spacing)
        factor: Volume = np.exp(np.float32(strength) * field)
        return factor

    def window_of_view(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> tuple[slice, ...]:
        """Scanned part of the field of view, as slices."""
        sides, length, below, above = self.cut_mm
        ends = ((sides, sides), (length, length), (below, above))
        view = []
        for size, (first, last) in zip(shape, ends, strict=True):
            start, end = (int(rng.uniform(0, most) / spacing) for most in (first, last))
            room = max(size - int(LEAST_EXTENT_MM / spacing), 0)
            start = min(start, room)
            view.append(slice(start, size - min(end, room - start)))
        return tuple(view)

    def slabs(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """Slice axis (axial with probability 0.75), slice distance in pixels, slice thickness in pixels."""
        axis = int(rng.choice(3, p=(0.1, 0.15, 0.75)))
        least, most = self.thickness
        pitch = int(rng.integers(least, most + 1)) if rng.random() < self.thick_probability else 1
        thick = max(1, round(pitch * 2 / 3)) if rng.random() < self.gap_probability else pitch
        return axis, pitch, thick

    def degraded(self, image: Volume, head: np.ndarray, rng: np.random.Generator) -> Volume:
        """Source image with ghost, noise, gamma and window, in [0, 1]; ``image`` (X, Y, Z) in any unit."""
        axis, strength = int(rng.integers(0, 2)), drawn(self.ghost, rng.random(), "ghost")
        if rng.random() < self.ghost_probability:
            image = image + np.float32(strength) * np.roll(image, image.shape[axis] // 2, axis)
        brightest = float(np.percentile(image[head], 99))
        image = rician(image, rng, brightest * drawn(self.noise, rng.random(), "noise"))
        top = np.percentile(image[head], drawn(self.window_percent, rng.random(), "window_percent"))
        scaled = np.minimum(image, np.float32(top)) / np.float32(top)
        grey: Volume = np.power(scaled, np.float32(drawn(self.gamma, rng.random(), "gamma")))
        return grey


def averaged(volume: Volume, axis: int, pitch: int, thick: int) -> Volume:
    """Thick slices: ``pitch`` pixels apart, each the mean of ``thick`` pixels; an incomplete last slice is dropped."""
    if pitch == 1:
        return volume
    moved = np.moveaxis(volume, axis, 0)
    count = len(moved) // pitch
    grouped = moved[: count * pitch].reshape(count, pitch, *moved.shape[1:])[:, :thick]
    return np.moveaxis(grouped.mean(axis=1), 0, axis)


def rician(image: Volume, rng: np.random.Generator, sigma: float) -> Volume:
    """Rician noise: magnitude of an image with Gaussian noise of ``sigma`` in each of its two channels."""
    real, imaginary = (np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    magnitude: Volume = np.hypot(image + real, imaginary)
    return magnitude


def blurred(image: Volume, sigma_mm: float, spacing: float) -> Volume:
    """Gaussian blur with a standard deviation of ``sigma_mm``."""
    smooth: Volume = ndimage.gaussian_filter(image, sigma_mm / spacing, truncate=3.0)
    return smooth

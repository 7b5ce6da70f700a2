"""Simulated scanner: resolution, slices, field of view, bias field, artefacts, noise, grey scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .corruptions.artefacts import ghosted, spiked, truncated
from .corruptions.motion import moved, random_movements
from .corruptions.noise import rician
from .grid import CENTRE_MM, Volume, node_points, random_direction, smooth_noise, stretched
from .physics import Range, drawn
from .sampling import Sampling

LEAST_EXTENT_MM = 90.0
"""Smallest extent of the field of view along an axis."""

BIAS_SMOOTHNESS_MM = (30.0, 60.0)
TEXTURE_SMOOTHNESS_MM = 8.0
COIL_DISTANCE_MM = (100.0, 130.0)
"""[chosen] distance of surface coils from the middle of the head, whose surface is 70 to 100 mm from it."""

MOST_COILS = 4
"""[chosen] most surface coils of an array; one brightens one side of the head, several its surface."""


@dataclass(frozen=True)
class Artefacts:
    """Random artefacts of a scan; all probabilities and ranges are [chosen], more frequent than in a good archive.

    Args:
        truncation_probability: probability that the outer k-space along the phase axis was not measured but filled with
            zeros: fewer details, and ringing next to edges (Gibbs).
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
            movements = random_movements(rng, self.movements, self.motion_mm, self.motion_degrees)
            image = moved(image, sampling.axis, sampling.phase, sampling.spacing, movements)
        if rng.random() < self.truncation_probability:
            other = 3 - sampling.axis - sampling.phase
            for axis in (sampling.phase, other) if rng.random() < self.both_probability else (sampling.phase,):
                image = truncated(image, axis, drawn(self.kept, rng.random(), "kept"))
        if rng.random() < self.ghost_probability:
            image = ghosted(image, sampling.phase, drawn(self.ghost, rng.random(), "ghost"))
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


@dataclass(frozen=True)
class Scanner:
    """Random scanner: ranges of all degradations, each drawn once per case.

    Args:
        blur_mm: standard deviation of the Gaussian point spread; its upper end resembles an average over people.
        thick_probability: probability of slices that are thicker than pixels.
        thickness_mm: distance of thick slices, gap included; slices of less than a pixel are a pixel thick.
        gap_probability: probability of gaps between thick slices.
        gap: share of the distance of thick slices that is a gap.
        cut_mm: largest part of the field of view (200 x 240 x 200 mm) missing at each end: left and right, behind and
            in front, below, above.
        bias: standard deviation of the logarithm of the receive field (BrainWeb's fields of 20% and 40% have about 0.06
            and 0.12; high field more).
        coil_probability: probability of surface coils without correction of their sensitivity.
        coil_mm: radius of a surface coil; the smaller, the darker the depth.
        target_bias: share of the field's variance that source and target have in common; coils are the same for both.
        texture: relative standard deviation of the proton density within tissues.
        noise: standard deviation of each channel of the Rician noise, relative to the 99th percentile of the
            head, since operators average until an image is readable, whatever its sequence.
        gamma: exponent of the grey scale.
        window_percent: percentile of the head at which grey levels are clipped.
        quantised_probability: probability of few grey levels, as in images stored with 8 bits.
        grey_levels: number of steps from black to white that these have.
        artefacts: ghosts, ringing, motion and others; null for none.
    """

    blur_mm: Range = (0.2, 1.4)
    thick_probability: float = 0.3
    thickness_mm: Range = (2.0, 6.0)
    gap_probability: float = 0.3
    gap: Range = (0.1, 0.35)
    cut_mm: Sequence[float] = (15.0, 30.0, 70.0, 15.0)
    bias: Range = (0.0, 0.25)
    coil_probability: float = 0.15
    coil_mm: Range = (70.0, 150.0)
    target_bias: float = 0.7
    texture: Range = (0.0, 0.06)
    noise: Range = (0.002, 0.04)
    gamma: Range = (0.9, 1.15)
    window_percent: Range = (99.0, 100.0)
    quantised_probability: float = 0.15
    grey_levels: Range = (24.0, 255.0)
    artefacts: Artefacts | None = field(default_factory=Artefacts)

    def bias_fields(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> tuple[Volume, Volume]:
        """Smooth bias fields of source and target, (X, Y, Z) each, factors that share part of their variance."""
        strength = np.float32(drawn(self.bias, rng.random(), "bias"))
        smoothness = drawn(BIAS_SMOOTHNESS_MM, rng.random(), "bias smoothness")
        own, other = (smooth_noise(rng, smoothness) for _ in range(2))
        shared = np.float32(self.target_bias**0.5) * own + np.float32((1 - self.target_bias) ** 0.5) * other
        coils = self._coils(rng) if rng.random() < self.coil_probability else np.float32(0)
        first, second = (stretched(strength * part + coils, shape, spacing) for part in (own, shared))
        return np.exp(first), np.exp(second)

    def _coils(self, rng: np.random.Generator) -> Volume:
        """Logarithm of the sensitivity of an array of surface coils on the nodes, with a mean of 0.

        That of a loop is ``(1 + (d / radius)^2)^(-3/2)`` at a distance d from its centre (Biot and Savart, on its
        axis); those of an array add by their squares (Roemer et al. 1990).
        """
        points, squares = node_points(), np.float32(0)
        for _ in range(int(rng.integers(1, MOST_COILS + 1))):
            radius = drawn(self.coil_mm, rng.random(), "coil_mm")
            place = np.add(CENTRE_MM, random_direction(rng, drawn(COIL_DISTANCE_MM, rng.random(), "coil distance")))
            away = np.sum((points - place.astype(np.float32).reshape(3, 1, 1, 1)) ** 2, axis=0)
            squares = squares + (1 + away / np.float32(radius**2)) ** -3
        sensitivity = np.log(squares) / 2
        centred: Volume = sensitivity - sensitivity.mean()
        return centred

    def texture_field(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> Volume:
        """Texture shared by both images: a factor (X, Y, Z), finer than a bias field."""
        strength = drawn(self.texture, rng.random(), "texture")
        field = stretched(smooth_noise(rng, TEXTURE_SMOOTHNESS_MM), shape, spacing)
        factor: Volume = np.exp(np.float32(strength) * field)
        return factor

    def sampling(
        self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float, head: np.ndarray | None = None
    ) -> Sampling:
        """Field of view, slices (axial with probability 0.75) and phase axis of a case.

        Args:
            rng: of all that is drawn.
            shape: of the volume, (X, Y, Z).
            spacing: of its pixels, in mm.
            head: mask (X, Y, Z) of an MR, which may fold over; nothing folds without.
        """
        view = self._window_of_view(rng, shape, spacing)
        axis = int(rng.choice(3, p=(0.1, 0.15, 0.75)))
        thick = rng.random() < self.thick_probability
        phase = int(rng.choice([other for other in range(3) if other != axis]))
        distance = drawn(self.thickness_mm, rng.random(), "thickness_mm") / spacing
        pitch = max(distance, 1.0) if thick else 1.0
        gap = drawn(self.gap, rng.random(), "gap") if rng.random() < self.gap_probability else 0.0
        chosen = Sampling(view, axis, pitch, pitch * (1 - gap), phase, spacing)
        return chosen if head is None or self.artefacts is None else self.artefacts.wrapped(chosen, head, rng)

    def _window_of_view(self, rng: np.random.Generator, shape: tuple[int, ...], spacing: float) -> tuple[slice, ...]:
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

    def degraded(self, image: Volume, head: np.ndarray, rng: np.random.Generator, sampling: Sampling) -> Volume:
        """Source image with artefacts, noise, gamma and window, in [0, 1].

        Args:
            image: signal (X, Y, Z) in any unit, as sampled.
            head: its mask.
            rng: of all that is drawn.
            sampling: of the image.
        """
        if self.artefacts is not None:
            image = self.artefacts(image, sampling, rng)
        brightest = float(np.percentile(image[head], 99))
        image = rician(image, brightest * drawn(self.noise, rng.random(), "noise"), rng)
        top = np.percentile(image[head], drawn(self.window_percent, rng.random(), "window_percent"))
        scaled = np.minimum(image, np.float32(top)) / np.float32(top)
        grey: Volume = np.power(scaled, np.float32(drawn(self.gamma, rng.random(), "gamma")))
        if rng.random() < self.quantised_probability:
            levels = np.float32(round(drawn(self.grey_levels, rng.random(), "grey_levels")))
            grey = np.round(grey * levels) / levels
        return grey

"""Motion of the head during an MR scan: segments of k-space that were measured while it was elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, sparse

from ...errors import ConfigError
from ...stitching import plane_axis
from ..grid import Volume
from ..physics import Range, drawn
from .magnitude import checked_magnitude, is_number, phase_axis

NEAR_CENTRE = 0.02
"""Share of k-space on each side of its centre during which the head is in its first position."""
LARGEST_MM, LARGEST_DEGREES, MOST_MOVEMENTS = 50.0, 45.0, 100
"""[chosen] more than a head coil allows, and than a scan with an image has."""


class Movement(NamedTuple):
    """Another position of the head in the plane of the slices, and the segment of k-space that was measured there.

    Attributes:
        degrees: rotation about the middle of the slices.
        distance_mm: translation.
        direction: of the translation in radians, 0 along the first axis of the plane.
        segment: start and end, of k-space from 0 to 1 with its centre at 0.5.
    """

    degrees: float
    distance_mm: float
    direction: float
    segment: tuple[float, float]


class HeadMotion:
    """MR (X, Y, Z) of a head that moved in the plane of the slices, elsewhere during random segments of k-space.

    The centre of k-space is measured in the first position, so that the image stays in its place, of slight motion
    within a pixel, and needs no other target. Phase is encoded left-right in axial and coronal slices,
    posterior-anterior in sagittal ones. Motion through the plane, whose spins have another history, and within a line
    is not simulated (Zaitsev et al. 2015, J Magn Reson Imaging 42:887; simulated as by Shaw et al. 2019, MIDL).

    TorchIO's ``Motion`` has the same physics, but encodes phase along the last axis alone, rotates about the origin of
    the affine, and returns the real part where scanners store the magnitude.

    Args:
        distance_mm: of each translation, in a random direction; at most ``LARGEST_MM``.
        degrees: of each rotation, to a random side; at most ``LARGEST_DEGREES``.
        movements: number of other positions; at most ``MOST_MOVEMENTS``.
        plane: of the slices; ``axial``, ``coronal`` or ``sagittal``.

    Raises:
        ConfigError: a setting is out of its range.
    """

    def __init__(
        self, distance_mm: float = 2.0, degrees: float = 2.0, movements: int = 2, plane: str = "axial"
    ) -> None:
        for name, value, most in (("distance_mm", distance_mm, LARGEST_MM), ("degrees", degrees, LARGEST_DEGREES)):
            if not is_number(value) or not 0 <= value <= most:
                unit = name.removeprefix("distance_")
                raise ConfigError(f"--{name} is {value!r}, not 0 to {most:g} {unit}", "pass a number such as 2")
        if isinstance(movements, bool) or not isinstance(movements, int) or not 1 <= movements <= MOST_MOVEMENTS:
            fault = f"--movements is {movements!r}, not a whole number from 1 to {MOST_MOVEMENTS}"
            raise ConfigError(fault, "pass a number such as 2")
        self.axis = plane_axis(plane)
        self.distance_mm = distance_mm
        self.degrees = degrees
        self.movements = movements
        self.plane = plane

    def __call__(self, volume: ArrayLike, spacing: Sequence[float], rng: np.random.Generator) -> Volume:
        """The magnitude with ghosts and blur by motion, (X, Y, Z).

        Raises:
            DataError: see :func:`~common.simulation.corruptions.magnitude.checked_magnitude`.
        """
        given = checked_magnitude(volume)
        settings = (self.movements,) * 2, (self.distance_mm,) * 2, (self.degrees,) * 2
        return moved(given, self.axis, phase_axis(self.axis), spacing, random_movements(rng, *settings))


def random_movements(
    rng: np.random.Generator, movements: Sequence[int], motion_mm: Range, motion_degrees: Range
) -> list[Movement]:
    """Random movements, each for a random segment of k-space on one side of its centre.

    Args:
        rng: of all that is drawn.
        movements: fewest and most.
        motion_mm: range of the translations, in a random direction.
        motion_degrees: range of the rotations, to a random side.
    """
    fewest, most = movements
    found = []
    for _ in range(int(rng.integers(fewest, most + 1))):
        degrees = float(rng.choice((-1, 1))) * drawn(motion_degrees, rng.random(), "motion_degrees")
        direction = rng.uniform(0, 2 * np.pi)
        distance = drawn(motion_mm, rng.random(), "motion_mm")
        side, (start, stop) = rng.integers(2), np.sort(rng.uniform(NEAR_CENTRE, 0.5, 2))
        segment = (0.5 + start, 0.5 + stop) if side else (0.5 - stop, 0.5 - start)
        found.append(Movement(degrees, distance, direction, segment))
    return found


def moved(
    image: Volume,
    axis: int,
    phase: int,
    spacing: Sequence[float] | NDArray[np.floating],
    movements: Sequence[Movement],
) -> Volume:
    """Magnitude of an image (X, Y, Z) whose head was elsewhere during segments of k-space along the phase axis.

    Args:
        image: of the head in its first position.
        axis: across the slices.
        phase: axis of phase encoding.
        spacing: along X, Y and Z in mm.
        movements: of two at once the later one counts.
    """
    size = image.shape[phase]
    places = (fft.fftfreq(size) + 0.5) % 1
    lines = np.moveaxis(fft.fft(image, axis=phase), phase, 0)
    rows_mm, columns_mm = (spacing[other] for other in range(3) if other != axis)
    for degrees, distance, direction, (start, stop) in movements:
        during = (places >= start) & (places < stop)
        shift = distance / rows_mm * np.cos(direction), distance / columns_mm * np.sin(direction)
        elsewhere = fft.fft(displaced(image, axis, degrees, shift, rows_mm / columns_mm), axis=phase)
        lines[during] = np.moveaxis(elsewhere, phase, 0)[during]
    magnitude: Volume = np.abs(fft.ifft(np.moveaxis(lines, 0, phase), axis=phase))
    return magnitude


def displaced(image: Volume, axis: int, degrees: float, shift: tuple[float, float], aspect: float = 1.0) -> Volume:
    """Image (X, Y, Z) rotated, then shifted in the plane across an axis, by linear interpolation.

    All slices share one matrix of weights, which is much faster than to interpolate each; beyond the border it is the
    border.

    Args:
        image: in any unit.
        axis: across the slices.
        degrees: of the rotation about the middle, from the first axis of the plane to the second.
        shift: in pixels along the two axes of the plane.
        aspect: size of a pixel along the first axis over that along the second.
    """
    slices = np.moveaxis(image, axis, 2)
    height, width = slices.shape[:2]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows, columns = np.indices((height, width)).reshape(2, -1)
    y, x = rows - (height - 1) / 2 - shift[0], columns - (width - 1) / 2 - shift[1]
    at = (cosine * y + sine * x / aspect + (height - 1) / 2, cosine * x - sine * y * aspect + (width - 1) / 2)
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

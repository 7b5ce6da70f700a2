"""What differs between the focus of two fields: pressure, place, volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.errors import DataError
from common.segmenter.segmentation import dice
from examples.ultrasound.field import PML
from examples.ultrasound.medium import BONE_HU, Grid

BEHIND_BONE_MM = 3.0
"""[chosen] nearer to the skull no focus is looked for."""


@dataclass(frozen=True)
class Focus:
    """Of a field in the brain.

    Attributes:
        pressure: highest amplitude, relative to that at the source.
        place: of it in points of the grid, between points by parabolas, (2,) or (3,).
        volume: where the amplitude is half of it or more, around that place, of its shape.
    """

    pressure: float
    place: NDArray[np.float64]
    volume: NDArray[np.bool_]


def brain_of(hu: Grid, spacing: float) -> NDArray[np.bool_]:
    """Points behind the first bone on their way along the beam, the first axis, that are no bone.

    Args:
        hu: CT on the grid of a beam.
        spacing: in mm.

    Raises:
        DataError: no point is.
    """
    bone = hu >= BONE_HU
    near = ndimage.binary_dilation(bone, iterations=max(1, round(BEHIND_BONE_MM / spacing)))
    brain: NDArray[np.bool_] = np.maximum.accumulate(bone, axis=0) & ~near
    inner = np.zeros_like(brain)
    inner[(slice(PML, -PML),) * hu.ndim] = True
    brain &= inner
    if not brain.any():
        raise DataError("the beam meets no skull in the real CT", "correct the target, or give a CT in HU")
    return brain


def focus_of(field: Grid, brain: NDArray[np.bool_]) -> Focus:
    """The focus of a field among the points of the brain."""
    masked = np.where(brain, field, 0)
    top = np.unravel_index(int(masked.argmax()), masked.shape)
    pressure = float(masked[top])
    parts, _ = ndimage.label(masked >= pressure / 2)
    place = np.array([_between(field, top, axis) for axis in range(field.ndim)])
    return Focus(pressure, place, parts == parts[top])


def _between(field: Grid, top: tuple[np.intp, ...], axis: int) -> float:
    """Position of the maximum of the parabola through a point and its neighbours along an axis."""
    line = field[tuple(slice(None) if each == axis else place for each, place in enumerate(top))]
    middle = int(top[axis])
    left, centre, right = (float(value) for value in line[middle - 1 : middle + 2])
    bend = left - 2 * centre + right
    return middle + (float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0)


def compared(focus: Focus, real: Focus, water: Focus, spacing: float) -> dict[str, float]:
    """Measures of a focus next to that through the real CT.

    Returns:
        ``pressure_error`` in % of the real focal pressure; ``shift``, distance of the places in mm; ``overlap``, Dice
        of the volumes above half of the own pressure (-6 dB); ``insertion_loss`` in dB, relative to water.
    """
    return {
        "pressure": focus.pressure,
        "pressure_error": 100 * (focus.pressure / real.pressure - 1),
        "shift": spacing * float(np.linalg.norm(focus.place - real.place)),
        "overlap": dice(focus.volume, real.volume),
        "insertion_loss": 20 * float(np.log10(water.pressure / focus.pressure)),
    }

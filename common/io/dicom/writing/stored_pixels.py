"""Stored pixels of a derived series: integer type and rescale slope by modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.valuerep import format_number_as_ds

from ...stored_values import require_finite, to_stored

INT16_MAX = 32767
UINT16_MAX = 65535


@dataclass(frozen=True)
class Pixels:
    """A volume as stored.

    ``stored`` (X, Y, Z) is int16 or uint16; one stored step is ``unit_per_step`` of the volume's unit. ``slope`` is
    that step as RescaleSlope; None for MR, which has no such element.
    """

    stored: np.ndarray
    unit_per_step: float
    slope: str | None


def ct_pixels(values: np.ndarray, case: str) -> Pixels:
    """HU as int16, rounded and clipped; slope 1.

    Raises:
        OutputError: for a value that is not finite.
    """
    return Pixels(to_stored(values, "int16", case), 1.0, "1")


def mr_pixels(values: np.ndarray, case: str) -> Pixels:
    """Arbitrary units as int16, times the largest power of two that fits the whole volume.

    MR objects have no rescale slope, so that DerivationDescription gives the factor; a power of two is exact and the
    same for most cases.

    Raises:
        OutputError: for a value that is not finite.
    """
    require_finite(values, case)
    largest = float(np.abs(values).max())
    exponent = int(np.floor(np.log2(INT16_MAX / largest))) if largest > 0 else 0
    return Pixels(to_stored(np.ldexp(values.astype(np.float64), exponent), "int16", case), 2.0**-exponent, None)


def pet_pixels(values: np.ndarray, case: str) -> Pixels:
    """A positive quantity, also of a map, as uint16 with one slope; negative values are clipped to 0 with a log line.

    Raises:
        OutputError: for a value that is not finite.
    """
    require_finite(values, case)
    largest = float(values.max())
    slope = format_number_as_ds(largest / UINT16_MAX) if largest > 0 else "1"
    step = float(slope)  # the rounded slope that readers multiply by
    return Pixels(to_stored(values.astype(np.float64) / step, "uint16", case), step, slope)


TO_PIXELS: dict[str, Callable[[np.ndarray, str], Pixels]] = {"CT": ct_pixels, "MR": mr_pixels, "PT": pet_pixels}
"""Conversion by target modality."""
TO_MAP_PIXELS = {**TO_PIXELS, "CT": pet_pixels}
"""Conversion of maps of half-widths: those of HU have fractions, which whole HU would round away."""

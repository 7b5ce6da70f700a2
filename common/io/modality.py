"""Modality of a volume, by its DICOM header or by the values of a file."""

from __future__ import annotations

import numpy as np

from ..errors import DataError
from ..units import TISSUE_ABOVE_HU

MODALITY = "modality"
"""Entry of a loaded volume's ``meta``."""
COMPLEX = "complex"
"""Entry of the ``meta`` of an image whose first channel is a magnitude, and whose others are its phase and mask."""
LABELS = "labels"
"""Entry of the ``meta`` of an image whose channels are the labels of a map."""
TIMES = "times"
"""Entry of the ``meta`` of an image whose first channels are the times of a series: their number."""
SOURCE_MODALITY = "source_modality"
"""Entry of a case to infer: the modality that its network was trained on."""
FAULT = "fault"
"""Entry of a case to infer whose files cannot be read: the reason."""

PERCENTILE = 1
STEP = 2
"""Every second voxel along each axis is enough."""
MOST_HU = 2**17
"""Beyond what a scanner stores, even in an extended scale for metal."""
LEAST_HU = -5000.0
"""Below any padding of a CT (-3024); what is lower, such as -32768, pads an image of any modality."""
IN_HU = "CT (values as low as HU of air)"
NOT_IN_HU = f"not a CT in HU (no value below 0, or one beyond {MOST_HU})"

CT = "CT"
UNKNOWN = ""
SPOKEN_WITH_A_VOWEL = "AEFHILMNORSX"
"""First letters of codes that follow "an", such as MR."""


def modality_of(values: np.ndarray) -> str:
    """The modality by the values (..., X, Y, Z) alone: ``IN_HU``, ``NOT_IN_HU``, or ``UNKNOWN`` where they may be
    either, such as those of a skull-stripped CT or of an MR with offset.
    """
    low, high = values.min(), values.max()
    if low < LEAST_HU and high > 0:
        values = values[values >= LEAST_HU]
        low, some = values.min(), values[::STEP]
    else:
        some = values[..., ::STEP, ::STEP, ::STEP]
    if low >= 0 or max(-low, high) > MOST_HU:
        return NOT_IN_HU
    return IN_HU if np.percentile(some, PERCENTILE) <= TISSUE_ABOVE_HU else UNKNOWN


def require_modality(case: str, wanted: str, found: str) -> None:
    """Refuse a volume of another modality than a network was trained on.

    Args:
        case: for the message.
        wanted: DICOM's code, such as ``MR``.
        found: such a code, or what :func:`modality_of` gives.

    Raises:
        DataError: where they differ.
    """
    is_ct = found in (CT, IN_HU)
    same = found == UNKNOWN or (is_ct if wanted == CT else found in (wanted, NOT_IN_HU))
    if not same:
        remedy = f"pass {with_article(wanted)}, or --accept_modality true"
        shown = found if found == NOT_IN_HU else with_article(found)
        raise DataError(f"{case} is {shown}, this bundle needs {with_article(wanted)}", remedy)


def with_article(modality: str) -> str:
    """``a CT``, ``an MR``."""
    return f"{'an' if modality[0] in SPOKEN_WITH_A_VOWEL else 'a'} {modality}"

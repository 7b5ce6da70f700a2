"""Phase selection in series with several acquisitions or kinds of image: time points, echoes, b-values, phase maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....errors import Finding, VolumeError, Where
from .acquisitions import continue_each_other, left_out
from .headers import Slice, element_text, places_by

PHASE_ELEMENTS = (
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime"),
    *("EchoTime", "EffectiveEchoTime", "EchoNumbers", "DiffusionBValue", "FrameReferenceTime", "AcquisitionNumber"),
    *("ImageType", "FrameType", "AcquisitionTime", "ContentTime"),
)
"""Elements that can distinguish acquisitions, the most specific first."""
TYPES = ("ImageType", "FrameType")
"""Original or derived, primary or secondary, and for MR magnitude or phase."""
KIND_ELEMENTS = ("EchoTime", "EffectiveEchoTime", "EchoNumbers", "DiffusionBValue", "ComplexImageComponent", *TYPES)
"""Elements that all slices of a volume have in common, wherever the slices lie."""
ALIKE = (
    *("RepetitionTime", "InversionTime", "FlipAngle", "SequenceName", "ContrastBolusAgent"),
    *("KVP", "ConvolutionKernel", "SliceThickness"),
)
"""Further elements that acquisitions have in common which are read as one volume."""
KIND_DIGITS = 3
"""Digits to which numbers of these elements are compared."""
NUMBER = "InstanceNumber"


@dataclass(frozen=True)
class Selection:
    """The indices of the slices to read, and notes.

    ``several`` is the error of slices that differ at one position where acquisitions are read as one volume.
    """

    places: list[int]
    notes: tuple[Finding, ...] = ()
    several: Finding | None = None


def select_phase(
    slices: Sequence[Slice], levels: np.ndarray, positions: np.ndarray, phase: int | None, where: Where
) -> Selection:
    """The slices of the requested acquisition or kind; all slices where there is one, or where they are one volume.

    Acquisitions are distinguished by the first of ``PHASE_ELEMENTS`` that splits the slices into groups with each
    position at most once in a group, as many as there are slices at a position, or ones that continue each other;
    otherwise, where all positions have equally many slices, by the order of their instance numbers. Slices that nothing
    distinguishes stay, as duplicates. Kinds of image, such as interleaved echoes, are distinguished by the first of
    ``KIND_ELEMENTS`` that differs.

    Without a ``phase``, acquisitions that continue each other and agree in ``KIND_ELEMENTS`` and ``ALIKE`` are one
    volume, if the slices that they share are equal.

    Args:
        slices: ordered along the normal.
        levels: (N,), index of the position of each slice.
        positions: (N, 3), of each slice in mm.
        phase: from 1.
        where: for messages.

    Raises:
        VolumeError: several acquisitions or kinds without a ``phase``, a ``phase`` that does not exist, or one with
            several kinds.
    """
    several = max(Counter(levels.tolist()).values())
    acquisitions = _phases(slices, levels, positions, several, where) if several > 1 else None
    parted = acquisitions or _kinds(slices, where)
    if parted is None:
        return Selection(list(range(len(slices))))
    key, groups = parted
    number, remedy = f"{len(groups)} that differ in {key}", f"choose one by --phase 1 to --phase {len(groups)}"
    fault = where(f"the series has several {'acquisitions' if acquisitions else 'kinds of image'}", number, remedy)
    if phase is None:
        if not acquisitions or not _are_one(slices, groups, levels, positions, where):
            raise VolumeError(fault)
        note = where("acquisitions that continue each other", number, "they are read as one volume", "warning")
        return Selection(list(range(len(slices))), (note,), fault)
    if phase > len(groups):
        raise VolumeError(where(f"the series has no phase {phase}", number, remedy))
    chosen = groups[phase - 1]
    if mixed := _kinds([slices[place] for place in chosen], where):
        kinds = f"{len(mixed[1])} that differ in {mixed[0]}"
        raise VolumeError(where("the phase has several kinds of image", kinds, "keep the slices of one kind"))
    return Selection(chosen, tuple(left_out(chosen, positions, where)))


def _are_one(
    slices: Sequence[Slice], groups: list[list[int]], levels: np.ndarray, positions: np.ndarray, where: Where
) -> bool:
    """Whether acquisitions are one volume, as far as headers show."""
    alike = _kinds(slices, where, (*KIND_ELEMENTS, *ALIKE)) is None
    return alike and continue_each_other(groups, levels, positions)


def _phases(
    slices: Sequence[Slice], levels: np.ndarray, positions: np.ndarray, several: int, where: Where
) -> tuple[str, list[list[int]]] | None:
    for key in PHASE_ELEMENTS:
        groups = places_by(element_text(each, key, where) for each in slices)
        parts = [groups[name] for name in sorted(groups, key=_rank)]
        unique = len(parts) > 1 and all(len(set(levels[places])) == len(places) for places in parts)
        if unique and (len(parts) == several or continue_each_other(parts, levels, positions)):
            return key, parts
    return _phases_by_number(slices, levels, several, where)


def _phases_by_number(
    slices: Sequence[Slice], levels: np.ndarray, several: int, where: Where
) -> tuple[str, list[list[int]]] | None:
    named = [element_text(each, NUMBER, where) for each in slices]
    stacks = [[int(place) for place in np.flatnonzero(levels == level)] for level in range(levels[-1] + 1)]
    if any(len(places) != several or len({named[place] for place in places}) != several for places in stacks):
        return None
    ranked = [sorted(places, key=lambda place: _rank(named[place])) for places in stacks]
    return NUMBER, [list(group) for group in zip(*ranked, strict=True)]


def _kinds(
    slices: Sequence[Slice], where: Where, keys: Sequence[str] = KIND_ELEMENTS
) -> tuple[str, list[list[int]]] | None:
    for key in keys:
        groups = places_by(_kind(each, key, where) for each in slices)
        if len(groups) > 1:
            return key, [groups[name] for name in sorted(groups, key=_rank)]
    return None


def _kind(each: Slice, key: str, where: Where) -> str:
    """The part of an element of ``KIND_ELEMENTS`` that distinguishes volumes."""
    value = element_text(each, key, where)
    if key in TYPES and element_text(each, "Modality", where) != "MR":  # CT has words for how a slice was acquired
        return "\\".join(value.split("\\")[:2])
    try:
        return f"{float(value):.{KIND_DIGITS}g}"
    except ValueError:
        return value


def _rank(name: str) -> tuple[float, str]:
    """Sort key: numbers in ascending order, before other text."""
    try:
        return float(name), ""
    except ValueError:
        return np.inf, name

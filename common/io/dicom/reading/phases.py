"""Phase selection in series with several acquisitions or kinds of image: time points, echoes, b-values, phase maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ....errors import VolumeError, Where
from .headers import Slice, element_text

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
KIND_DIGITS = 3
"""Digits to which numbers of these elements are compared."""
NUMBER = "InstanceNumber"


def select_phase(slices: Sequence[Slice], levels: np.ndarray, phase: int | None, where: Where) -> list[int]:
    """The indices in ``slices`` of the requested acquisition or kind; all indices where there is one.

    Acquisitions are distinguished by the first of ``PHASE_ELEMENTS`` that splits the slices into as many groups as
    there are slices at a position, with each position at most once in a group; otherwise, where all positions have
    equally many slices, by the order of their instance numbers. Slices that nothing distinguishes stay, as duplicates.
    Kinds of image, such as interleaved echoes, are distinguished by the first of ``KIND_ELEMENTS`` that differs.

    Args:
        slices: ordered along the normal.
        levels: (N,), index of the position of each slice.
        phase: from 1.
        where: for messages.

    Raises:
        VolumeError: several acquisitions or kinds without a ``phase``, a ``phase`` that does not exist, or one with
            several kinds.
    """
    several = max(Counter(levels.tolist()).values())
    acquisitions = _phases(slices, levels, several, where) if several > 1 else None
    parted = acquisitions or _kinds(slices, where)
    if parted is None:
        return list(range(len(slices)))
    key, groups = parted
    remedy = f"choose one by --phase 1 to --phase {len(groups)}"
    if phase is None:
        fault = f"the series has several {'acquisitions' if acquisitions else 'kinds of image'}"
        raise VolumeError(where(fault, f"{len(groups)} that differ in {key}", remedy))
    if phase > len(groups):
        raise VolumeError(where(f"the series has no phase {phase}", f"{len(groups)} that differ in {key}", remedy))
    if mixed := _kinds([slices[place] for place in groups[phase - 1]], where):
        kinds = f"{len(mixed[1])} that differ in {mixed[0]}"
        raise VolumeError(where("the phase has several kinds of image", kinds, "keep the slices of one kind"))
    return groups[phase - 1]


def _phases(
    slices: Sequence[Slice], levels: np.ndarray, several: int, where: Where
) -> tuple[str, list[list[int]]] | None:
    for key in PHASE_ELEMENTS:
        groups: dict[str, list[int]] = {}
        for place, each in enumerate(slices):
            groups.setdefault(element_text(each, key, where), []).append(place)
        unique = all(len(set(levels[places])) == len(places) for places in groups.values())
        if len(groups) == several and unique:
            return key, [groups[name] for name in sorted(groups, key=_rank)]
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


def _kinds(slices: Sequence[Slice], where: Where) -> tuple[str, list[list[int]]] | None:
    for key in KIND_ELEMENTS:
        groups: dict[str, list[int]] = {}
        for place, each in enumerate(slices):
            groups.setdefault(_kind(each, key, where), []).append(place)
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

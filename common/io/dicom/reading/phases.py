"""Several acquisitions at the same positions in one series: time points, echoes, heart phases, diffusion weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from common.errors import VolumeError, Where
from common.io.dicom.reading.headers import Slice, text

KEYS = (
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalCardiacTriggerDelayTime"),
    *("EchoTime", "EffectiveEchoTime", "EchoNumbers", "DiffusionBValue", "FrameReferenceTime", "AcquisitionNumber"),
    *("ImageType", "FrameType", "AcquisitionTime", "ContentTime"),
)
"""Elements that may tell acquisitions apart, the most telling first."""
NUMBER = "InstanceNumber"


def one_phase(slices: Sequence[Slice], levels: np.ndarray, phase: int | None, where: Where) -> list[int]:
    """The places in ``slices`` of the one acquisition that is asked for; all where there is one.

    Acquisitions are told apart by the first of ``KEYS`` that parts the slices into as many groups as there are slices
    at a position, each position at most once in a group; else, where all positions have equally many slices, by the
    order of their instance numbers. Slices that nothing tells apart stay, as doubled ones.

    Args:
        slices: along the normal.
        levels: (N,), the number of each slice's position.
        phase: from 1.
        where: for messages.

    Raises:
        VolumeError: several acquisitions and no ``phase``, or one that is not there.
    """
    several = max(Counter(levels.tolist()).values())
    parted = _parted(slices, levels, several, where) if several > 1 else None
    if parted is None:
        return list(range(len(slices)))
    key, groups = parted
    if phase is None:
        found = f"{len(groups)} acquisitions that differ in {key}"
        remedy = f"choose one by --phase 1 to --phase {len(groups)}"
        raise VolumeError(where("a series has one slice at a position", found, remedy))
    if phase > len(groups):
        raise VolumeError(where(f"--phase is 1 to {len(groups)} (by {key})", f"{phase}", "choose one of them"))
    return groups[phase - 1]


def _parted(
    slices: Sequence[Slice], levels: np.ndarray, several: int, where: Where
) -> tuple[str, list[list[int]]] | None:
    for key in KEYS:
        groups: dict[str, list[int]] = {}
        for place, each in enumerate(slices):
            groups.setdefault(text(each, key, where), []).append(place)
        unique = all(len(set(levels[places])) == len(places) for places in groups.values())
        if len(groups) == several and unique:
            return key, [groups[name] for name in sorted(groups, key=_rank)]
    return _by_number(slices, levels, several, where)


def _by_number(
    slices: Sequence[Slice], levels: np.ndarray, several: int, where: Where
) -> tuple[str, list[list[int]]] | None:
    named = [text(each, NUMBER, where) for each in slices]
    stacks = [[int(place) for place in np.flatnonzero(levels == level)] for level in range(levels[-1] + 1)]
    if any(len(places) != several or len({named[place] for place in places}) != several for places in stacks):
        return None
    ranked = [sorted(places, key=lambda place: _rank(named[place])) for places in stacks]
    return NUMBER, [list(group) for group in zip(*ranked, strict=True)]


def _rank(name: str) -> tuple[float, str]:
    """Numbers in their order, before other text."""
    try:
        return float(name), ""
    except ValueError:
        return np.inf, name

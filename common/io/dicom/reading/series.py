"""Selection of one series in a folder of DICOM files."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from ....errors import ConfigError, Finding, VolumeError, Where, some
from ...modality import require_modality
from ..validation import without_validation
from .headers import Slice, element_text, places_by, read_slices
from .stack import ONE_UID, Stack, build_stack

logger = logging.getLogger(__name__)
ALL = "all"
"""In place of a SeriesInstanceUID: the slices of all series of a folder are one volume."""
ORIGIN = {"PatientID": "patients", "StudyInstanceUID": "studies", "Modality": "modalities"}
"""Elements with one value in a series, and what several values are."""


@dataclass(frozen=True)
class SeriesOptions:
    """Selection among several series or acquisitions, and treatment of tilted slices.

    Args:
        series: SeriesInstanceUID, or a list of them; a folder with several series has exactly one of the list. ``ALL``
            joins the series of a folder, those of ``modality`` where it is given.
        phase: which acquisition (time point, echo, phase), from 1, of a series with several at the same positions.
        resample_tilt: resample tilted or unevenly spaced slices onto an orthogonal grid instead of refusing them.
        modality: DICOM's code that the series must have, and by which one of several is chosen; None for any.

    Raises:
        ConfigError: for a ``series`` that is not text or a ``phase`` below 1.
    """

    series: str | Sequence[str] | None = None
    phase: int | None = None
    resample_tilt: bool = False
    modality: str | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(uid, str) for uid in self.wanted):
            fault = f"--series {self.series} is not a SeriesInstanceUID or a list of them"
            raise ConfigError(fault, "put each between quotation marks")
        if self.phase is not None and (not isinstance(self.phase, int) or self.phase < 1):
            raise ConfigError(f"--phase is {self.phase}", "give a whole number from 1")

    @property
    def wanted(self) -> list[str]:
        """The UIDs that may be chosen, or ``ALL``."""
        return [self.series] if isinstance(self.series, str) else list(self.series or [])


@without_validation
def find_series(folder: Path, case: str, options: SeriesOptions) -> tuple[Stack, tuple[Finding, ...]]:
    """Find the slices of one series, ordered by position, and report ignored files in notes.

    Raises:
        VolumeError: no series, several series without a choice, or slices that form no volume.
        DataError: a series of another modality than that of the options, whatever its geometry.
    """
    where = partial(Finding, case, folder.name)
    slices, ignored = read_slices(folder, where)
    if not slices:
        remedy = "give that of an image series, or NIfTI"
        raise VolumeError(where("no DICOM slices in the folder", _counted(ignored), remedy))
    chosen = _choose(slices, options, where)
    joined = len({element_text(each, "SeriesInstanceUID", where) for each in chosen})
    _require_one_origin(chosen, "under one SeriesInstanceUID" if joined == 1 else f"in {joined} series", where)
    if options.modality and (modality := element_text(chosen[0], "Modality", where)):
        require_modality(case, options.modality, shown_modality(modality))
    others = Counter(dict(ignored) | {"of other series": len(slices) - len(chosen)})
    by_modality = options.modality and not options.wanted and len(chosen) < len(slices)
    remedy = f"the only {options.modality} series is used" if by_modality else "they are ignored"
    note = where("other files or frames in the folder", _counted(others), remedy, "warning")
    notes = [note] if others.total() else []
    if joined > 1:
        notes.append(where("several series in the folder", str(joined), "their slices are read as one", "warning"))
    stack = build_stack(chosen, options.phase, where)
    return stack, (*notes, *stack.notes)


def source_headers(folder: str | Path, case: str, options: SeriesOptions | None = None) -> list[Dataset]:
    """The headers, without pixels, of one series in the order of the volume's third axis.

    A frame of a multi-frame object has its functional groups at the top level, and its number in
    ``ReferencedFrameNumber``.
    There is one header for each slice that was read, even if ``resample_tilt`` gave the volume other slices. Use them
    within :data:`common.io.dicom.validation.without_validation`, since pydicom converts elements on first use.

    Raises:
        VolumeError: as :func:`common.io.dicom.reading.volume.load_series`, for all errors that headers show.
    """
    stack, _ = find_series(Path(folder), case, options or SeriesOptions())
    return [each.header for each in stack.slices]


def _choose(slices: list[Slice], options: SeriesOptions, where: Where) -> list[Slice]:
    groups: dict[str, list[Slice]] = {}
    for each in slices:
        uid = element_text(each, "SeriesInstanceUID", where)
        if not uid:
            raise VolumeError(where("a slice has no SeriesInstanceUID", each.name, "export the series again"))
        groups.setdefault(uid, []).append(each)
    if len(groups) == 1:
        return slices
    requested = [uid for uid in groups if uid in options.wanted]
    if len(requested) == 1:
        return groups[requested[0]]
    fitting = [group for group in groups.values() if options.modality == element_text(group[0], "Modality", where)]
    if ALL in options.wanted:
        return [each for group in fitting for each in group] or slices
    if len(fitting) == 1 and not options.wanted:
        return fitting[0]
    number = f"{len(groups)} series" + (f", {len(requested)} of them requested" if options.wanted else "")
    if max(map(len, groups.values())) == 1:
        studies = {element_text(each, "StudyInstanceUID", where) for each in slices}
        what, remedy = "series", f"join them by --series {ALL}"
        if len(studies) == len(slices):
            what, remedy = "study", ONE_UID
        raise VolumeError(where(f"every slice is a {what} of its own", number, remedy))
    listed = some([_shown(uid, group, where) for uid, group in sorted(groups.items())])
    remedy = f"choose one by --series UID, or join parts of one volume by --series {ALL}"
    raise VolumeError(where("several series in the folder", f"{number}: {listed}", remedy))


def _require_one_origin(slices: list[Slice], place: str, where: Where) -> None:
    """Refuse slices of two named patients, two studies or modalities in one series, or in several that are joined."""
    for name, what in ORIGIN.items():
        groups = places_by(element_text(each, name, where) for each in slices)
        if name == "PatientID":
            groups.pop("", None)
        if len(groups) > 1:
            shown = {value: f"{shown_modality(value)} in " if name == "Modality" else "" for value in groups}
            listed = [f"{shown[value]}{len(group)} such as {slices[group[0]].name}" for value, group in groups.items()]
            fault = f"slices of {len(groups)} {what} {place}"
            raise VolumeError(where(fault, some(listed), "move one into another folder"))


def _shown(uid: str, group: Sequence[Slice], where: Where) -> str:
    """A series for messages; an invalid UID or code is not repeated, since it could name a patient."""
    code = shown_modality(element_text(group[0], "Modality", where))
    return f"{uid if re.fullmatch(r'[0-9.]{1,64}', uid) else 'an invalid UID'} [{code}, {len(group)} slices]"


def shown_modality(modality: str) -> str:
    """A modality for messages; an invalid code is not repeated, since it could name a patient."""
    return modality if re.fullmatch(r"[A-Z]{2,8}", modality) else "no modality"


def _counted(ignored: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in ignored.items() if count)

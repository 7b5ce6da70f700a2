"""Which slices of a folder make up the one series that is asked for."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from common.errors import ConfigError, Finding, VolumeError, Where
from common.io.dicom.reading.headers import Slice, read_slices, text
from common.io.dicom.reading.stack import Stack, arrange
from common.io.dicom.validation import without_validation

logger = logging.getLogger(__name__)
RULE = "a folder holds one series"


@dataclass(frozen=True)
class SeriesOptions:
    """What to read where a folder leaves a choice.

    Args:
        series: SeriesInstanceUID, or several: of a folder with several series the one that is among them.
        phase: which acquisition (time point, echo, phase), from 1, of a series with several at the same positions.
        resample_tilt: resample slices that are tilted or unevenly spaced onto an orthogonal grid, not refuse them.

    Raises:
        ConfigError: for options of another kind.
    """

    series: str | Sequence[str] | None = None
    phase: int | None = None
    resample_tilt: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(uid, str) for uid in self.wanted):
            rule = "is a SeriesInstanceUID or a list of them"
            raise ConfigError("series", rule, self.series, "put each between quotation marks")
        if self.phase is not None and (not isinstance(self.phase, int) or self.phase < 1):
            raise ConfigError("phase", "is a whole number from 1", self.phase, "correct it")

    @property
    def wanted(self) -> list[str]:
        """The UIDs that may be chosen."""
        return [self.series] if isinstance(self.series, str) else list(self.series or [])


@without_validation
def find_series(folder: Path, case: str, options: SeriesOptions) -> tuple[Stack, tuple[Finding, ...]]:
    """The slices of a folder's one series, in the order of their positions, and notes on what was left out.

    Raises:
        VolumeError: no series, several of which none was chosen, or slices that make up no volume.
    """
    where = partial(Finding, case, folder.name)
    slices, left_out = read_slices(folder, where)
    if not slices:
        found = f"no slices{_counted(left_out)}"
        raise VolumeError(where("the folder holds a DICOM series", found, "give the series' own folder"))
    chosen = _choose(slices, options.wanted, where)
    others = Counter(dict(left_out) | {"of other series": len(slices) - len(chosen)})
    notes = [_note(others, where)] if others.total() else []
    return arrange(chosen, options.phase, where), tuple(notes)


def source_headers(folder: str | Path, case: str, options: SeriesOptions | None = None) -> list[Dataset]:
    """The headers, without pixels, of a folder's one series in the order of the volume's third axis.

    A frame of a multi-frame object has its functional groups at the top and its number under ``ReferencedFrameNumber``.
    There is one for each slice of the volume, unless ``resample_tilt`` gave that other slices: then one for each that
    was read. Use them within :data:`common.io.dicom.validation.without_validation`, since pydicom converts elements
    when they are first used.

    Raises:
        VolumeError: as :func:`common.io.dicom.reading.volume.read_series`, as far as headers show it.
    """
    stack, _ = find_series(Path(folder), case, options or SeriesOptions())
    return [each.header for each in stack.slices]


def _choose(slices: list[Slice], wanted: Sequence[str], where: Where) -> list[Slice]:
    groups: dict[str, list[Slice]] = {}
    for each in slices:
        uid = text(each, "SeriesInstanceUID", where)
        if not uid:
            rule, remedy = "every slice has SeriesInstanceUID", "export the series again"
            raise VolumeError(where(rule, f"none in {each.name}", remedy))
        groups.setdefault(uid, []).append(each)
    if len(groups) == 1:
        return slices
    listed = ", ".join(_shown(uid, group, where) for uid, group in sorted(groups.items()))
    found = [uid for uid in groups if uid in wanted]
    if len(found) != 1:
        number = f"{len(groups)} series" + (f", {len(found)} of them asked for" if wanted else "")
        raise VolumeError(where(RULE, f"{number}: {listed}", "choose one by --series UID"))
    return groups[found[0]]


def _shown(uid: str, group: Sequence[Slice], where: Where) -> str:
    """A series without what could name a patient: values that are no UID and no code are not repeated."""
    modality = text(group[0], "Modality", where)
    code = modality if re.fullmatch(r"[A-Z]{2,8}", modality) else "no modality"
    return f"{uid if re.fullmatch(r'[0-9.]{1,64}', uid) else 'an invalid UID'} ({code}, {len(group)} slices)"


def _counted(left_out: Counter[str]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
    return f" ({reasons})" if reasons else ""


def _note(others: Counter[str], where: Where) -> Finding:
    found = f"{others.total()} other files or frames{_counted(others)}"
    return where(RULE, found, "they are left out", "warning")

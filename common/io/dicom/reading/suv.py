"""Standardised uptake values by body weight from PET activity, where the header says all that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pydicom
from pydicom.dataset import Dataset

from common.errors import Where
from common.io.dicom.reading.headers import Slice, numbers, text, value

FORMULA = (
    "SUV (body weight) = activity in Bq/ml x weight in g / (injected dose in Bq x 2^(-(reference time of the decay"
    " correction - injection time) / half-life))"
)
DAY = timedelta(days=1)
LONGEST_HALF_LIVES = 20
"""A longer wait between injection and scan is a wrong date: hardly a millionth of the dose would be left."""


@dataclass(frozen=True)
class Uptake:
    """What activity is multiplied by, or why it stays as it is: a text without values of the patient."""

    factor: float | None
    reason: str = ""


def uptake(slices: Sequence[Slice], where: Where) -> Uptake:
    """The factor from activity (Bq/ml) to SUV by body weight in g/ml.

    After the vendor-neutral pseudo-code of the Quantitative Imaging Biomarkers Alliance (FDG-PET/CT profile):
    ``DecayCorrection`` START corrects to the start of the series (to the first acquisition where the series is dated
    later, by a derivation), ADMIN to the injection.

    Raises:
        VolumeError: for elements that cannot be understood.
    """
    correction = {text(each, "DecayCorrection", where) for each in slices}
    if correction not in ({"START"}, {"ADMIN"}):
        return Uptake(None, "DecayCorrection is neither START nor ADMIN")
    corrected = text(slices[0], "CorrectedImage", where).split("\\")
    if not {"ATTN", "DECY"} <= set(corrected):
        return Uptake(None, "CorrectedImage names no correction for attenuation and decay")
    weight = _positive(slices[0], "PatientWeight", where)
    tracers = value(slices[0], "RadiopharmaceuticalInformationSequence", where)
    if weight is None or tracers is None or len(tracers) != 1:
        return Uptake(None, "no PatientWeight, or not one item in RadiopharmaceuticalInformationSequence")
    tracer = Slice(slices[0].path, slices[0].frame, tracers[0])
    dose = _positive(tracer, "RadionuclideTotalDose", where)
    half_life = _positive(tracer, "RadionuclideHalfLife", where)
    if dose is None or half_life is None:
        return Uptake(None, "no RadionuclideTotalDose or RadionuclideHalfLife")
    decay = 1.0
    if correction == {"START"}:
        wait = _wait(slices, tracer, where)
        if wait is None or not 0 <= wait <= LONGEST_HALF_LIVES * half_life:
            return Uptake(None, "no plausible times of injection and scan")
        decay = 2.0 ** (-wait / half_life)
    return Uptake(weight * 1000 / (dose * decay))


def _positive(each: Slice, name: str, where: Where) -> float | None:
    if value(each, name, where) is None:
        return None
    number = float(numbers(each, name, 1, where)[0])
    return number if number > 0 else None


def _wait(slices: Sequence[Slice], tracer: Slice, where: Where) -> float | None:
    """Seconds from the injection to the time that activity is corrected to."""
    starts = [_moment(each.header, "AcquisitionDate", "AcquisitionTime") for each in slices]
    scans = [moment for moment in starts if moment is not None]
    series = _moment(slices[0].header, "SeriesDate", "SeriesTime")
    if not scans or len(scans) < len(starts) or series is None:
        return None
    reference = min(series, *scans) if series <= min(scans) else min(scans)
    injected = _injection(tracer, reference)
    return None if injected is None else (reference - injected).total_seconds()


def _injection(tracer: Slice, reference: datetime) -> datetime | None:
    """Its own date and time; of a time alone the last before the scan."""
    whole = _moment(tracer.header, "RadiopharmaceuticalStartDateTime")
    if whole is not None:
        return whole
    try:
        time = pydicom.valuerep.TM(tracer.header.get("RadiopharmaceuticalStartTime") or None)
    except Exception:  # a damaged time is an absent one: the activity stays as it is, and that is said
        return None
    if time is None:
        return None
    moment = datetime.combine(reference.date(), time)
    return moment if moment <= reference else moment - DAY


def _moment(header: Dataset, *names: str) -> datetime | None:
    """A date and a time, or both in one element; None where they are absent or damaged."""
    try:
        joined = "".join(str(header.get(name) or "") for name in names)
        found = pydicom.valuerep.DT(joined) if len(joined) > len("YYYYMMDD") else None
        return None if found is None else datetime.fromisoformat(found.isoformat()).replace(tzinfo=None)
    except Exception:  # as above
        return None

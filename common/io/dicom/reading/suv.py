"""Standardised uptake values (SUV) by body weight, computed from PET activity and header elements."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import pydicom
from pydicom.dataset import Dataset

from ....errors import VolumeError, Where
from .headers import Slice, element_numbers, element_text, element_value

SUV_FORMULA = (
    "SUV (body weight) = activity in Bq/ml x weight in g / (injected dose in Bq x 2^(-(reference time of the decay"
    " correction - injection time) / half-life))"
)
DAY = timedelta(days=1)
WHOLE = "RadiopharmaceuticalStartDateTime"
OFFSET = r"[+-]\d{4}"
"""At the end of a DateTime: its distance from UTC."""
NO_ZONE = "the injection's time has an offset from UTC, the scan's has no TimezoneOffsetFromUTC"
LONGEST_HALF_LIVES = 8
"""Longest plausible time from injection to scan, in half-lives, after which 0.4 % of the dose are left."""
WEIGHT_KG = (0.5, 500.0)
DOSE_BQ = (1e6, 2e10)
"""Of a diagnostic injection, with room for therapies; a dose in MBq or kBq is below it."""


def suv_factor(slices: Sequence[Slice], where: Where) -> float | str:
    """The factor from activity (Bq/ml) to SUV by body weight in g/ml, or the reason for its absence.

    After the vendor-neutral pseudo-code of the Quantitative Imaging Biomarkers Alliance (FDG-PET/CT profile):
    ``DecayCorrection`` START corrects to the start of the series (to the first acquisition where the series is dated
    later, by a derivation), ADMIN to the injection.

    Raises:
        VolumeError: for elements that cannot be decoded, or that no patient and no scan has.
    """
    correction = {element_text(each, "DecayCorrection", where) for each in slices}
    if correction not in ({"START"}, {"ADMIN"}):
        return "DecayCorrection is neither START nor ADMIN"
    corrected = element_text(slices[0], "CorrectedImage", where).split("\\")
    if not {"ATTN", "DECY"} <= set(corrected):
        return "CorrectedImage names no correction for attenuation and decay"
    weight = _positive(slices[0], "PatientWeight", where)
    tracers = element_value(slices[0], "RadiopharmaceuticalInformationSequence", where)
    if weight is None or tracers is None or len(tracers) != 1:
        return "no PatientWeight, or not one item in RadiopharmaceuticalInformationSequence"
    tracer = Slice(slices[0].path, slices[0].frame, tracers[0])
    dose = _positive(tracer, "RadionuclideTotalDose", where)
    half_life = _positive(tracer, "RadionuclideHalfLife", where)
    if dose is None or half_life is None:
        return "no RadionuclideTotalDose or RadionuclideHalfLife"
    decay = 1.0
    if correction == {"START"}:
        if len({_zone(each) for each in slices}) > 1:
            return "slices differ in TimezoneOffsetFromUTC"
        times = _times(slices, tracer)
        if times is None:
            return NO_ZONE if _needs_zone(tracer, _zone(slices[0])) else "no times of injection and scan"
        decay = 2.0 ** -_half_lives(*times, half_life, where)
    _require_within("PatientWeight", weight, WEIGHT_KG, "kg", where)
    _require_within("RadionuclideTotalDose", dose, DOSE_BQ, "Bq", where)
    return weight * 1000 / (dose * decay)


def _positive(each: Slice, name: str, where: Where) -> float | None:
    if element_value(each, name, where) is None:
        return None
    number = float(element_numbers(each, name, 1, where)[0])
    return number if number > 0 else None


def _require_within(name: str, value: float, bounds: tuple[float, float], unit: str, where: Where) -> None:
    if not bounds[0] <= value <= bounds[1]:
        limit = f"below {bounds[0]:g}" if value < bounds[0] else f"above {bounds[1]:g}"  # no value of a patient
        raise VolumeError(where(f"{name} is {limit} {unit}", "", "correct it in the header"))


def _half_lives(injected: datetime, reference: datetime, half_life: float, where: Where) -> float:
    """The time from the injection to the reference time of the decay correction, in half-lives."""
    count = (reference - injected).total_seconds() / half_life
    if not 0 <= count <= LONGEST_HALF_LIVES:
        fault = f"the scan is not 0 to {LONGEST_HALF_LIVES} half-lives after the injection"
        times = f"injection at {injected:%H:%M:%S}, scan at {reference:%H:%M:%S}, {abs(count):.1f} half-lives"
        raise VolumeError(where(fault, f"{times} {'later' if count > 0 else 'earlier'}", "correct the header"))
    return count


def _times(slices: Sequence[Slice], tracer: Slice) -> tuple[datetime, datetime] | None:
    """The injection and the reference time of the decay correction; None where the header lacks one."""
    starts = [_moment(each.header, "AcquisitionDate", "AcquisitionTime") for each in slices]
    scans = [moment for moment in starts if moment is not None]
    series = _moment(slices[0].header, "SeriesDate", "SeriesTime")
    if not scans or len(scans) < len(starts) or series is None:
        return None
    reference = min(series, *scans) if series <= min(scans) else min(scans)
    injected = _injection(tracer, reference, _zone(slices[0]))
    return None if injected is None else (injected, reference)


def _injection(tracer: Slice, reference: datetime, zone: str) -> datetime | None:
    """Date and time of the injection in the zone of the scan.

    For a time alone, its last occurrence before the scan; where the zone of the scan is not known, its occurrence
    nearest to the date and time with an offset.
    """
    whole = _moment(tracer.header, WHOLE, zone=zone)
    if whole is not None and not _needs_zone(tracer, zone):
        return whole
    try:
        time = pydicom.valuerep.TM(tracer.header.get("RadiopharmaceuticalStartTime") or None)
    except Exception:  # a damaged time counts as absent: the activity is kept, with a note
        return None
    if time is None:
        return None
    if whole is not None:
        days = (datetime.combine(whole.date() + days * DAY, time) for days in (-1, 0, 1))
        return min(days, key=lambda moment: abs(moment - whole))
    moment = datetime.combine(reference.date(), time)
    return moment if moment <= reference else moment - DAY


def _zone(each: Slice) -> str:
    """The zone of the dates and times of a slice, such as ``+0100``; empty without one, or for a damaged one."""
    zone = str(each.header.get("TimezoneOffsetFromUTC") or "").strip()
    return zone if re.fullmatch(OFFSET, zone) else ""


def _needs_zone(tracer: Slice, zone: str) -> bool:
    """Whether the injection has an offset from UTC, and the times of the scan none to compare it with."""
    return not zone and bool(re.search(f"{OFFSET}$", str(tracer.header.get(WHOLE) or "").strip()))


def _moment(header: Dataset, *names: str, zone: str = "") -> datetime | None:
    """A date and a time, or both in one element; None for absent or damaged ones.

    One with an offset from UTC is turned into the time of a zone, such as ``+0100``, where that is known.
    """
    try:
        joined = "".join(str(header.get(name) or "") for name in names)
        moment = pydicom.valuerep.DT(joined) if len(joined) > len("YYYYMMDD") else None
        if moment is None:
            return None
        found = datetime.fromisoformat(moment.isoformat())
        if found.tzinfo and zone:
            found = found.astimezone(datetime.strptime(zone.strip(), "%z").tzinfo)
        return found.replace(tzinfo=None)
    except Exception:  # as above
        return None

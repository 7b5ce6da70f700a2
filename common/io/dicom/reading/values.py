"""Voxels of a stack in the unit that its headers state: HU, SUV, or the stored one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import Finding, VolumeError, Where
from common.io.dicom.reading.headers import Slice, numbers, text, value
from common.io.dicom.reading.pixel_data import by_file, check_pixels, decode, same_pixels
from common.io.dicom.reading.stack import Stack
from common.io.dicom.reading.suv import FORMULA, uptake

ALWAYS_RESCALED = ("CT", "PT")
"""Modalities whose stored values mean nothing without slope and intercept."""
SUV = "SUV"
PET_UNITS = {"BQML": "Bq/ml", "GML": SUV, "CNTS": "counts", "CPS": "counts/s", "PROPCPS": "counts/s", "NONE": "none"}


@dataclass(frozen=True)
class _Unit:
    """A unit, the factor of stored values to it with its formula, and a note where PET stays in its own."""

    name: str | None
    factor: float = 1.0
    notes: tuple[Finding, ...] = ()
    formula: str = ""


@dataclass(frozen=True)
class Voxels:
    """Values (X, Y, Z) along columns, rows and slices, their unit where the headers tell it, and notes.

    ``formula`` is that of a unit which was computed.
    """

    values: np.ndarray
    unit: str | None
    notes: tuple[Finding, ...]
    formula: str = ""


def read_voxels(stack: Stack, modality: str, where: Where) -> Voxels:
    """Decode every slice and apply its own slope and intercept.

    CT is in HU. PET in Bq/ml becomes SUV by body weight where the headers allow it (the formula is logged), else it
    stays with a note. MONOCHROME1 keeps its stored values, with a note. Of doubled slices one is left out, with a note.

    Raises:
        VolumeError: pixels that are no grey values, truncated or cannot be decoded; CT or PET without slope and
            intercept; doubled slices that differ; values beyond float32.
    """
    for each in stack.slices:
        check_pixels(each, where)
    lines = [_line(each, modality, where) for each in stack.slices]
    if len({line is None for line in lines}) > 1:
        lacking = sum(line is None for line in lines)
        found, remedy = f"{lacking} of {len(lines)} slices without", "export the series again"
        raise VolumeError(where("all slices have RescaleSlope and RescaleIntercept, or none", found, remedy))
    notes = [*_doubled(stack, where), *_inverted(stack.slices, where)]
    values = np.empty((*stack.plane.shape, len(stack.slices)), np.float32)
    for places in by_file(stack.slices).values():
        stored = decode(stack.slices[places[0]], where)
        for place in places:
            frame = stack.slices[place].frame
            slope, intercept = lines[place] or (1.0, 0.0)
            with np.errstate(over="ignore", invalid="ignore"):
                values[:, :, place] = (stored if frame is None else stored[frame]).T * slope + intercept
    unit = _unit(stack.slices, modality, where)
    with np.errstate(over="ignore"):
        values *= np.float32(unit.factor)
    if not np.isfinite(values).all():
        raise VolumeError(where("values must fit float32", "NaN or Inf after rescaling", "export the series again"))
    return Voxels(values, unit.name, (*notes, *unit.notes), unit.formula)


def _line(each: Slice, modality: str, where: Where) -> tuple[float, float] | None:
    """Slope and intercept of a slice; None where it has neither and needs none."""
    if value(each, "ModalityLUTSequence", where) is not None:
        raise VolumeError(where("values are rescaled by a line", f"a table in {each.name}", "export as original image"))
    names = ("RescaleSlope", "RescaleIntercept")
    if modality not in ALWAYS_RESCALED and all(value(each, name, where) is None for name in names):
        return None
    slope, intercept = (float(numbers(each, name, 1, where)[0]) for name in names)
    if slope == 0:
        raise VolumeError(where("RescaleSlope is not 0", f"0 in {each.name}", "export the series again"))
    return slope, intercept


def _doubled(stack: Stack, where: Where) -> list[Finding]:
    rule = "a series has one slice at a position"
    for kept, other in stack.doubled:
        if not same_pixels(kept, other, where):
            found = f"{kept.name} and {other.name} with different pixels at one"
            raise VolumeError(where(rule, found, "keep one of them, or choose one series by --series UID"))
    found = f"{len(stack.doubled)} doubled with identical pixels"
    return [where(rule, found, "they are left out", "warning")] if stack.doubled else []


def _inverted(slices: Sequence[Slice], where: Where) -> list[Finding]:
    count = sum(text(each, "PhotometricInterpretation", where) == "MONOCHROME1" for each in slices)
    if count not in (0, len(slices)):
        found = f"MONOCHROME1 in {count} of {len(slices)}"
        raise VolumeError(where("all slices have one PhotometricInterpretation", found, "export the series again"))
    rule, found = "higher values are shown brighter (MONOCHROME2)", "MONOCHROME1"
    return [where(rule, found, "the stored values are kept, not inverted", "warning")] if count else []


def _unit(slices: Sequence[Slice], modality: str, where: Where) -> _Unit:
    if modality == "CT":
        return _Unit("HU")
    if modality != "PT":
        return _Unit(None)
    units = {text(each, "Units", where) for each in slices}
    if len(units) > 1:
        raise VolumeError(where("all slices have one Units", f"{len(units)} of them", "export the series again"))
    code = units.pop()
    unit = PET_UNITS.get(code)
    if unit == SUV and text(slices[0], "SUVType", where) in ("", "BW"):
        return _Unit(SUV)
    reason = f"Units {code if unit else 'of another kind'}"
    if code == "BQML":
        scale = uptake(slices, where)
        if scale.factor is not None:
            return _Unit(SUV, scale.factor, formula=FORMULA)
        reason = scale.reason
    kept = f"the stored unit ({unit or 'unknown'}) is kept"
    rule = "PET becomes SUV by body weight where the header allows"
    return _Unit(unit, notes=(where(rule, reason, kept, "warning"),))

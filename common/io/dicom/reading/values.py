"""Rescaled voxels of a stack in HU, SUV or the stored unit."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....errors import Finding, VolumeError, Where, some
from ....units import HU_OF_AIR
from ...modality import CT
from ...padding import padding_to_air
from .headers import Slice, element_numbers, element_text, element_value, places_by
from .pixel_data import check_pixels, decode_pixels, decode_plane, padding_of
from .stack import Stack
from .suv import SUV_FORMULA, suv_factor

logger = logging.getLogger(__name__)
ALWAYS_RESCALED = (CT, "PT")
"""Modalities that need slope and intercept."""
HIGHEST_SUV, SUV_PERCENTILE = 100, 99.9
"""Bladder and kidneys have fewer voxels above it."""
HIGHEST_HU = 2**15 - 1
"""No scanner measures more, even in an extended scale for metal; a negative number taken as unsigned is."""
HU_TYPES, SHIFTED_TYPES = ("", "HU"), ("US", "HU_MOD")
"""RescaleType of a CT in HU, and those that may be: unspecified, which old scanners write, and modified HU."""
SUV = "SUV"
PET_UNITS = {"BQML": "Bq/ml", "GML": SUV, "CNTS": "counts", "CPS": "counts/s", "PROPCPS": "counts/s", "NONE": "none"}
SUV_TYPES = ("BSA", "LBM", "LBMJAMES128", "LBMJANMA", "IBW")
"""Of the standard, other than by body weight."""
PHILIPS_FACTORS = {f"(7053,10{byte:02x})": (0x7053, 0x1000 + byte) for byte in (0x00, 0x09)}
"""From counts to SUV and to Bq/ml, by the profile of the Quantitative Imaging Biomarkers Alliance."""


@dataclass(frozen=True)
class _Unit:
    """A unit, the factor from rescaled values, and a note for PET that keeps its stored unit."""

    name: str | None
    factor: float = 1.0
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Voxels:
    """Values (X, Y, Z) along columns, rows and slices, modality, unit where the headers give one, and notes."""

    values: np.ndarray
    modality: str
    unit: str | None
    notes: tuple[Finding, ...]


def read_voxels(stack: Stack, where: Where) -> Voxels:
    """Decode every slice and apply its own slope and intercept.

    CT is in HU, and refused where its RescaleType says another unit. PET in Bq/ml is converted to SUV by body weight
    where the headers allow it (the formula is logged) and otherwise kept, with a note. MONOCHROME1 keeps its stored
    values, with a note. Of duplicate slices with identical values one is used, with a note. Padding becomes air: -1000
    HU, also that of a CT which no element names (see :mod:`common.io.padding`), for others 0 or the minimum if that is
    lower.

    Raises:
        VolumeError: colour, truncated or undecodable pixels; CT or PET without slope and intercept; duplicate slices
            with different values; values beyond float32; negative HU stored as unsigned numbers.
    """
    modality = element_text(stack.slices[0], "Modality", where)
    for each in stack.slices:
        check_pixels(each, where)
    lines = [_slope_intercept(each, modality, where) for each in stack.slices]
    if len({line is None for line in lines}) > 1:
        lacking = sum(line is None for line in lines)
        number = f"{lacking} of {len(lines)}"
        raise VolumeError(where("slices without RescaleSlope and RescaleIntercept", number, "export the series again"))
    notes = [*_duplicates(stack, modality, where), *_inverted(stack.slices, where)]
    values = np.empty((*stack.plane.shape, len(stack.slices)), np.float32)
    padding: dict[int, np.ndarray] = {}
    strayed = 0
    for places in places_by(each.path for each in stack.slices).values():
        stored, stray = decode_pixels(stack.slices[places[0]], where)
        for place in places:
            frame = stack.slices[place].frame
            slope, intercept = lines[place] or (1.0, 0.0)
            plane, beyond = (stored, stray) if frame is None else (stored[frame], stray[frame])
            with np.errstate(over="ignore", invalid="ignore"):
                values[:, :, place] = plane.T * slope + intercept
            if (padded := padding_of(stack.slices[place], plane, where)) is not None:
                padding[place] = padded.T
            strayed += int((beyond if padded is None else beyond & ~padded).sum())
    if strayed:
        remedy = "they are cleared, as those of an overlay: check the values"
        notes.append(where("voxels have bits outside BitsStored", f"{strayed} of {values.size}", remedy, "warning"))
    unit = _unit(stack.slices, modality, where)
    with np.errstate(over="ignore"):
        values *= np.float32(unit.factor)
    _fill_padding(values, padding, modality, where)
    padding_to_air(values, where, modality == CT)
    if not np.isfinite(values).all():
        raise VolumeError(where("values do not fit float32", "NaN or Inf after rescaling", "export the series again"))
    notes += [*unit.notes, *_implausible(values, unit.name, where), *_unsigned(values, stack, lines, modality, where)]
    return Voxels(values, modality, unit.name, tuple(notes))


def _fill_padding(values: np.ndarray, padding: Mapping[int, np.ndarray], modality: str, where: Where) -> None:
    """Replace the padding (X, Y) of slices by air."""
    if not padding:
        return
    others = (values[:, :, k][~padding[k]] if k in padding else values[:, :, k] for k in range(values.shape[2]))
    air = HU_OF_AIR if modality == CT else min((part.min(initial=0.0) for part in others), default=0.0)
    for place, padded in padding.items():
        values[:, :, place][padded] = air
    count = sum(int(padded.sum()) for padded in padding.values())
    logger.info("%s", where("voxels with PixelPaddingValue", f"{count} of {values.size}", f"read as {air:g}"))


def _slope_intercept(each: Slice, modality: str, where: Where) -> tuple[float, float] | None:
    """Slope and intercept of a slice; None where it has neither and its modality needs none."""
    if element_value(each, "ModalityLUTSequence", where) is not None:
        raise VolumeError(where("values are rescaled by a table", each.name, "export as original image"))
    names = ("RescaleSlope", "RescaleIntercept")
    if modality not in ALWAYS_RESCALED and all(element_value(each, name, where) is None for name in names):
        return None
    slope, intercept = (float(element_numbers(each, name, 1, where)[0]) for name in names)
    if slope == 0:
        raise VolumeError(where("RescaleSlope is 0", each.name, "export the series again"))
    return slope, intercept


def _duplicates(stack: Stack, modality: str, where: Where) -> list[Finding]:
    for kept, other in stack.duplicates:
        if not np.array_equal(_rescaled(kept, modality, where), _rescaled(other, modality, where)):
            fault, both = "different slices at one position", f"{kept.name} and {other.name}"
            if stack.several:
                raise VolumeError(replace(stack.several, value=f"{stack.several.value}, {fault}, {both}"))
            raise VolumeError(where(fault, both, "keep one of them, or choose one series by --series UID"))
    names = some([other.name for _, other in stack.duplicates])
    number = f"{len(stack.duplicates)} with identical values: {names}"
    return [where("duplicate slices", number, "duplicates are ignored", "warning")] if stack.duplicates else []


def _rescaled(each: Slice, modality: str, where: Where) -> np.ndarray:
    slope, intercept = _slope_intercept(each, modality, where) or (1.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return (decode_plane(each, where) * slope + intercept).astype(np.float32)


def _inverted(slices: Sequence[Slice], where: Where) -> list[Finding]:
    count = sum(element_text(each, "PhotometricInterpretation", where) == "MONOCHROME1" for each in slices)
    if count not in (0, len(slices)):
        number = f"MONOCHROME1 in {count} of {len(slices)}"
        raise VolumeError(where("slices differ in PhotometricInterpretation", number, "export the series again"))
    fault, remedy = "higher values are shown darker", "the stored values are kept, not inverted"
    return [where(fault, "MONOCHROME1", remedy, "warning")] if count else []


def _implausible(values: np.ndarray, unit: str | None, where: Where) -> list[Finding]:
    if unit != SUV or values.max() <= HIGHEST_SUV:
        return []
    high = np.percentile(values, SUV_PERCENTILE)
    if high <= HIGHEST_SUV:
        return []
    fault = f"percentile {SUV_PERCENTILE} of the SUV is above {HIGHEST_SUV}"
    return [where(fault, f"{high:.4g}", "check weight, dose and times", "warning")]


def _unsigned(values: np.ndarray, stack: Stack, lines: Sequence[object], modality: str, where: Where) -> list[Finding]:
    """Refuse a CT whose negative HU are stored as unsigned numbers; note HU that may be."""
    above = int((values > HIGHEST_HU).sum()) if modality == CT else 0
    if not above:
        return []
    fault, number = f"voxels are above {HIGHEST_HU} HU", f"{above} of {values.size}"
    unsigned = all(element_numbers(each, "PixelRepresentation", 1, where)[0] == 0 for each in stack.slices)
    if unsigned and set(lines) == {(1.0, 0.0)}:
        remedy = "set PixelRepresentation to 1, as by dcmodify -m 0028,0103=1"
        raise VolumeError(where(f"negative HU are stored as unsigned, {fault}", number, remedy))
    return [where(fault, number, "check PixelRepresentation, slope and intercept", "warning")]


def _of_ct(slices: Sequence[Slice], where: Where) -> list[Finding]:
    """Refuse values of a CT that are no HU by their header, such as of iodine or effective atomic number."""
    kind = _of_all(slices, "RescaleType", where)
    if kind in HU_TYPES:
        return []
    shown = f"RescaleType {kind}" if re.fullmatch(r"[A-Z0-9_%]{1,16}", kind) else "another RescaleType"
    if kind not in SHIFTED_TYPES:
        raise VolumeError(where("the values are not HU", shown, "give the series of the CT in HU"))
    return [where("the header does not say HU", shown, "HU are assumed: check the values", "warning")]


def _of_all(slices: Sequence[Slice], name: str, where: Where) -> str:
    """The text of an element that all slices have in common."""
    values = {element_text(each, name, where) for each in slices}
    if len(values) > 1:
        raise VolumeError(where(f"slices differ in {name}", f"{len(values)} values", "export the series again"))
    return values.pop()


def _unit(slices: Sequence[Slice], modality: str, where: Where) -> _Unit:
    if modality == CT:
        return _Unit("HU", notes=tuple(_of_ct(slices, where)))
    if modality != "PT":
        return _Unit(None)
    code = _of_all(slices, "Units", where)
    unit = PET_UNITS.get(code)
    kind = element_text(slices[0], "SUVType", where)
    if unit == SUV and kind in ("", "BW"):  # the standard takes an absent type for BW
        return _Unit(SUV)
    reason = f"Units {code if unit else 'of another kind'}"
    if unit == SUV:
        reason += f", SUVType {kind if kind in SUV_TYPES else 'of another kind'}"
        unit = None
    private = (name for name, tag in PHILIPS_FACTORS.items() if tag in (head := slices[0].header) and head[tag].value)
    if factors := " and ".join(private):
        reason += f", Philips' private {factors} not applied"
    if code == "BQML":
        found = suv_factor(slices, where)
        if isinstance(found, float):
            logger.info("%s", where("activity in Bq/ml", "", f"converted to {SUV_FORMULA}"))
            return _Unit(SUV, found)
        reason = found
    kept = f"the stored unit ({unit or 'unknown'}) is kept"
    return _Unit(unit, notes=(where("PET without SUV by body weight", reason, kept, "warning"),))

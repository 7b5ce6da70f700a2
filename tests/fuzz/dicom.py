"""Mutations of DICOM series: elements deleted and changed, pixels cut off, slices removed and added, bytes."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, RLELossless, generate_uid

from tests.fuzz.mutation import Mutation, Rule, Target, damaged, junk

TEXTS = ("", "0", "-1", "1e30", "nan", "text", "größe", "1\\2", "6\\6\\6", "9" * 20, "\\", "inf")
NUMBERS = (0, 1, 2, 7, 33, 40, 255, 32767)
TYPES = ("US", "DS", "IS", "UI", "SQ", "CS", "LO", "OB", "FD", "UN")
READ = (
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope",
    "RescaleIntercept", "Modality", "SeriesInstanceUID", "InstanceNumber", "ImageType", "SliceThickness",
    "SOPClassUID", "SpecificCharacterSet", "PixelData",
)  # fmt: skip
"""Elements that say what a slice shows; the others are drawn too, less often."""
VALUES = ("RescaleSlope", "RescaleIntercept", "BitsStored", "HighBit", "PixelRepresentation", "BitsAllocated")
"""Elements by which a slice has other values, and nothing else contradicts them."""
OTHERS: Mapping[str, object] = {
    "PatientID": "OTHER", "PatientName": "Other^Name", "StudyInstanceUID": "1.2.9", "FrameOfReferenceUID": "1.2.9.1",
    "SeriesInstanceUID": "1.2.9.2", "Modality": "PT", "ImageType": ["DERIVED", "SECONDARY", "LOCALIZER"],
    "EchoTime": "99", "EchoNumbers": "2", "InversionTime": "900", "FlipAngle": "70", "RepetitionTime": "7000",
    "DiffusionBValue": 1000.0, "TriggerTime": "300", "TemporalPositionIdentifier": "2", "AcquisitionNumber": "2",
    "AcquisitionTime": "235900", "GantryDetectorTilt": "20", "PatientPosition": "FFS", "PixelSpacing": ["3", "3"],
    "ImageOrientationPatient": ["0", "1", "0", "0", "0", "-1"], "SliceThickness": "1", "KVP": "80",
    "ConvolutionKernel": "other", "RescaleType": "US", "BurnedInAnnotation": "YES", "PhotometricInterpretation":
    "MONOCHROME1", "SpecificCharacterSet": "ISO_IR 192", "SeriesDescription": "$print(1)", "Units": "BQML",
}  # fmt: skip
"""Valid values by which one slice is of another image than the rest; a series that has one is refused, or says so."""
SYNTAXES = (RLELossless, JPEG2000Lossless, ExplicitVRBigEndian, "1.2.840.10008.1.2", "1.2.3", "")
DICOM_NAME = "*.dcm"


def mutate(rng: random.Random, target: Target) -> Mutation:
    """Change one slice, all slices, or which slices there are."""
    folder = target.inputs / "data"
    files = sorted(folder.glob(DICOM_NAME))
    ways = (_element, _attribute, _everywhere, _file, _pixels, _syntax, _slices, _others)
    how = rng.choices(ways, (8, 6, 3, 4, 2, 2, 4, 2))[0]
    what, rule = how(folder, files, rng)
    return Mutation(f"dicom {how.__name__[1:]}", what, rule)


Told = tuple[str, Rule]


def _write(header: Any, path: Path) -> None:
    """As the elements stand, be they valid or not."""
    earlier = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        header.save_as(path, enforce_file_format=False)
    finally:
        config.settings.writing_validation_mode = earlier


def _changed(header: Any, rng: random.Random, name: str = "") -> tuple[str, Callable[[Any], None]]:
    """A change of one element of a header, in words and to be done to any header of the series."""
    known = [keyword for keyword in READ if keyword in header]
    name = name or rng.choice(known if rng.random() < 0.8 else [each.keyword for each in header])
    how = rng.choice(("deleted", "text", "text", "number", "empty", "typed", "scaled"))
    text, number, kind = rng.choice(TEXTS), rng.choice(NUMBERS), rng.choice(TYPES)
    factor = rng.choice((0.5, 2.0, -1.0, 1.01, 1e4))

    def change(slice_: Any) -> None:
        if name not in slice_:
            return
        element = slice_[name]
        if how == "deleted":
            del slice_[name]
        elif how == "empty":
            slice_[name] = DataElement(element.tag, element.VR, None, validation_mode=config.IGNORE)
        elif how == "typed":
            slice_[name] = DataElement(element.tag, kind, _of_type(kind, text), validation_mode=config.IGNORE)
        elif how == "scaled" and element.VR in ("DS", "FD"):
            values = element.value if element.VM > 1 else [element.value]
            scaled = [f"{float(value) * factor:.10g}" for value in values]
            slice_[name] = DataElement(element.tag, element.VR, scaled, validation_mode=config.IGNORE)
        elif element.VR in ("US", "SS", "UL"):
            slice_[name] = DataElement(element.tag, element.VR, number, validation_mode=config.IGNORE)
        elif element.VR in ("OW", "OB"):
            slice_[name] = DataElement(element.tag, element.VR, text.encode() * 2, validation_mode=config.IGNORE)
        else:
            value = [] if element.VR == "SQ" else _as_text(text)
            slice_[name] = DataElement(element.tag, "LO" if element.VR in ("DS", "IS") else element.VR, value,
                                       validation_mode=config.IGNORE)  # fmt: skip

    shown = {"deleted": "deleted", "empty": "empty", "typed": f"type {kind}", "scaled": f"times {factor:g}"}
    return f"{name} {shown.get(how, f'= {text!r} or {number}')}", change


def _as_text(text: str) -> Any:
    return text.split("\\") if "\\" in text else text


def _of_type(kind: str, text: str) -> Any:
    values = {"US": 7, "FD": 1.5, "SQ": [], "OB": b"ab", "UN": b"ab", "DS": "1.5", "IS": "7", "UI": "1.2.3"}
    return values.get(kind, text[:16])


def _save(path: Path, change: Callable[[Any], None]) -> bool:
    """Change a slice; False where pydicom cannot write it so, and it stays as it is."""
    header = pydicom.dcmread(path)
    try:
        change(header)
        _write(header, path.with_suffix(".new"))
    except Exception:  # pydicom refuses some values itself
        path.with_suffix(".new").unlink(missing_ok=True)
        return False
    path.with_suffix(".new").replace(path)
    return True


def _rule(name: str) -> Rule:
    return Rule.FINITE if name in VALUES else Rule.SAME


def _element(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """An element of one slice."""
    path = rng.choice(files)
    what, change = _changed(pydicom.dcmread(path), rng)
    written = _save(path, change)
    return f"{path.name}: {what}{'' if written else ' (cannot be written: unchanged)'}", _rule(what.split()[0])


def _attribute(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """A valid value of one slice that no other slice has."""
    path, name = rng.choice(files), rng.choice(list(OTHERS))
    _save(path, lambda header: setattr(header, name, OTHERS[name]))
    return f"{path.name}: {name} = {OTHERS[name]}", Rule.SAME


def _everywhere(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """The same change in every slice: often another valid series."""
    what, change = _changed(pydicom.dcmread(files[0]), rng)
    written = sum(_save(path, change) for path in files)
    return f"every slice: {what}{'' if written == len(files) else f' ({written} written)'}", Rule.FINITE


def _file(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """Bytes of one slice; those of pixels, or of what they are multiplied with, make another valid slice."""
    path = rng.choice(files)
    before = _shown(path)
    content, what = damaged(path.read_bytes(), rng)
    path.write_bytes(content)
    return f"{path.name}: {what}", Rule.FINITE if _shown(path) == before else Rule.SAME


def _shown(path: Path) -> dict[str, str] | None:
    """What a slice says of itself as pydicom reads it, without its values; None where pydicom does not."""
    try:
        header = pydicom.dcmread(path)
        values = {name: str(header.get(name)) for name in READ if name not in (*VALUES, "PixelData")}
        return values | {"size": str(len(header.PixelData)), "syntax": str(header.file_meta.TransferSyntaxUID)}
    except Exception:  # of a damaged file
        return None


def _pixels(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    path = rng.choice(files)
    size = rng.choice((0, 1, 2, 100, 2639, 2641))

    def change(header: Any) -> None:
        pixels = header.PixelData
        header.PixelData = pixels[: min(size, len(pixels) - 2)]

    _save(path, change)
    return f"{path.name}: pixels cut off after {size} bytes", Rule.REFUSED


def _syntax(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """A transfer syntax that the pixels do not have."""
    path, syntax = rng.choice(files), rng.choice(SYNTAXES)
    raw = path.read_bytes()
    old = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID).encode()
    new = str(syntax).encode()[: len(old) + 1].ljust(len(old) + len(old) % 2, b"\0")
    path.write_bytes(raw.replace(old.ljust(len(new), b"\0"), new, 1))
    return f"{path.name}: claims transfer syntax {str(syntax) or 'none'}", Rule.SAME


def _slices(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    how = rng.choice(("removed", "outermost removed", "doubled", "doubled with other pixels", "renumbered", "one left"))
    inner = rng.choice(files[1:-1])
    rule = Rule.REFUSED
    if how == "removed":
        inner.unlink()
    elif how == "outermost removed":
        files[0].unlink()
        rule = Rule.FINITE
    elif how == "one left":
        for path in files[1:]:
            path.unlink()
        rule = Rule.SAME
    elif how == "renumbered":
        order = list(range(1, len(files) + 1))
        rng.shuffle(order)
        for path, number in zip(files, order, strict=True):
            _save(path, lambda header, number=number: setattr(header, "InstanceNumber", number))
        rule = Rule.SAME
    else:
        other = folder / "copy.dcm"
        shutil.copy(inner, other)

        def change(header: Any) -> None:
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["copy"])
            if how != "doubled":
                header.PixelData = (np.frombuffer(header.PixelData, "<u2")[::-1]).tobytes()

        _save(other, change)
        rule = Rule.SAME if how == "doubled" else Rule.REFUSED
    return f"slice {how} ({inner.name})", rule


def _others(folder: Path, files: Sequence[Path], rng: random.Random) -> Told:
    """What lies next to the slices: junk, a second series, links, a DICOMDIR."""
    how = rng.choice(("junk", "second series", "link to itself", "DICOMDIR", "folder", "empty", "hidden"))
    if how == "second series":
        for number, path in enumerate(files):
            header = copy.deepcopy(pydicom.dcmread(path))
            header.SeriesInstanceUID = generate_uid(entropy_srcs=["second"])
            header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid(
                entropy_srcs=["second", str(number)]
            )
            header.save_as(folder / f"second{number:03}.dcm")
        return "a second series", Rule.REFUSED
    target = folder / {"DICOMDIR": "DICOMDIR", "hidden": "._001.dcm"}.get(how, "other.dcm")
    if how == "link to itself":
        target.symlink_to(target.name)
    elif how == "folder":
        target.mkdir()
    elif how == "empty":
        target.touch()
    else:
        target.write_bytes(junk(rng))
    return f"next to the slices: {how}", Rule.SAME

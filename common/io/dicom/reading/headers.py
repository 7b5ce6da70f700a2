"""Headers of the slices in a folder, one for each frame, read without pixels and with every element checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydicom
from pydicom import misc
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ....errors import VolumeError, Where
from ....files import GET_CONTENT, NOT_HERE

Group = TypeVar("Group", str, Path)
COPY_AGAIN = "copy or export the series again"
LARGEST_ELEMENT = 1 << 20
"""Size of an element, in bytes, above which it stays on disk, so that a forged length allocates no gigabytes."""
FIRST_ELEMENTS = (b"\x02\0\0\0", b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0")
"""Tags that a file without a preamble begins with: of its meta group, or group length, character set, image type."""
NOT_DICOM, NO_IMAGE, LOCALIZER = "not DICOM", "without an image", "localizers"
MISSING_SLICES = "slices are missing, and interpolated"
"""Begins the note on a series that was resampled across a gap; no case with it gets the verdict ``accept``."""
SCREEN_SAVE = "screen saves without a position"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
"""Beginning of the SOP classes of pictures, such as of a screen."""


@dataclass(frozen=True)
class Slice:
    """One plane: its file, its frame (from 0; None where the file holds one), and its header.

    The header of a frame is that of its object with the frame's functional groups moved to the top level, as in a
    classic single-frame slice; ``ReferencedFrameNumber`` is then the number of the frame (from 1).
    """

    path: Path
    frame: int | None
    header: Dataset

    @property
    def name(self) -> str:
        """The name of the file, with the frame (from 1) where it has several."""
        return self.path.name if self.frame is None else f"{self.path.name}, frame {self.frame + 1}"


def read_slices(folder: Path, where: Where) -> tuple[list[Slice], Counter[str]]:
    """Read the image slices of a folder, unordered, and count the ignored files by reason.

    Sub-folders are not entered and a DICOMDIR is not followed. Ignored are files that are not DICOM, objects without
    an image (presentation states, reports, segmentations, doses), localizers, and screen saves without a position.

    Raises:
        VolumeError: no such folder, an unreadable file, a broken link, a file named like the slices that is not
            DICOM, or another number of functional groups than frames.
    """
    if not folder.is_dir():
        raise VolumeError(where("no such folder", str(folder), "correct the path"))
    slices: list[Slice] = []
    ignored: Counter[str] = Counter()
    strange: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            header = _header(path, where)
            reason = why_ignored(header)
            if header is None or reason:
                ignored[reason] += 1
                strange += [path] if header is None else []
            else:
                slices += _frames(header, path, where)
        elif path.is_symlink() and not path.is_dir():
            raise VolumeError(where(f"a file is {NOT_HERE}", path.name, f"{GET_CONTENT}, or remove the link"))
    _require_no_lost_slice(strange, slices, where)
    return slices, ignored


def _require_no_lost_slice(strange: list[Path], slices: list[Slice], where: Where) -> None:
    """Refuse a file that is not DICOM but named like the slices up to a number: one cut to a few bytes."""
    names = {_without_numbers(each.path.name) for each in slices}
    if lost := [path for path in strange if _without_numbers(path.name) in names]:
        file = f"{lost[0].name}, {lost[0].stat().st_size} bytes"
        raise VolumeError(where("a file named like the slices is not DICOM", file, COPY_AGAIN))


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, also one of an old archive that lacks the preamble and begins with its first element."""
    if misc.is_dicom(path):
        return True
    with path.open("rb") as file:
        start = file.read(6)
    return start[:4] in FIRST_ELEMENTS and start[4:].isalpha() and start[4:].isupper()


def read_dicom(path: Path, **options: Any) -> Dataset:
    """A file of :func:`is_dicom` as pydicom reads it; without a file meta group it is explicit little endian."""
    header = pydicom.dcmread(path, force=True, **options)
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header


def is_screen_save(header: Dataset) -> bool:
    """Whether an image has no place in the patient, and is a picture by its class or derived from others by its type.

    A slice that has lost its position is none: it is an error, since a gap at the end of a volume is not seen.
    """
    if any(name in header for name in ("ImagePositionPatient", "PerFrameFunctionalGroupsSequence")):
        return False
    uid = str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")
    return uid.startswith(SECONDARY_CAPTURE) or "SECONDARY" in str(header.get("ImageType"))


def holds_series(folder: Path) -> bool:
    """Whether a folder directly holds DICOM files; a DICOMDIR, which only lists others, does not count."""
    if not folder.is_dir():
        return False
    files = (path for path in folder.iterdir() if path.name != "DICOMDIR" and path.is_file())
    return any(is_dicom(path) for path in files)


def element_value(each: Slice, name: str, where: Where) -> Any:
    """The value of an element; None where it is absent or empty.

    Raises:
        VolumeError: for a value that cannot be decoded.
    """
    try:
        value = each.header.get(name)
        return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value
    except Exception as error:  # converters raise many types for damaged bytes, with messages that may quote the value
        reason = f"{type(error).__name__} in {each.name}"
        raise VolumeError(where(f"cannot read {name}", reason, COPY_AGAIN)) from None


def element_text(each: Slice, name: str, where: Where) -> str:
    """The value of an element as text, multiple values joined by a backslash; empty where it is absent."""
    value = element_value(each, name, where)
    several = isinstance(value, list | tuple | pydicom.multival.MultiValue)
    return "\\".join(map(str, value)) if several else "" if value is None else str(value)


def element_numbers(each: Slice, name: str, count: int, where: Where) -> np.ndarray:
    """The ``count`` finite numbers of an element.

    Raises:
        VolumeError: for an absent element or any other value.
    """
    value = element_value(each, name, where)
    if value is None:
        raise VolumeError(where(f"a slice has no {name}", each.name, "export the series again"))
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        fault = f"{name} is not {count} finite number{'s' if count > 1 else ''}"
        raise VolumeError(where(fault, each.name, "export the series again"))
    return numbers


def places_by(values: Iterable[Group]) -> dict[Group, list[int]]:
    """The indices of equal values, such as of an element of each slice."""
    places: dict[Group, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return places


def _header(path: Path, where: Where) -> Dataset | None:
    """The header of a DICOM file; None for another kind of file."""
    try:
        if not is_dicom(path):
            return None
        return read_dicom(path, stop_before_pixels=True, defer_size=LARGEST_ELEMENT)
    except Exception as error:  # as above, or a file without read permission
        reason = f"{type(error).__name__} in {path.name}"
        raise VolumeError(where("cannot read the header of a slice", reason, COPY_AGAIN)) from None


def why_ignored(header: Dataset | None) -> str:
    """The reason for ignoring a file, such as the kind of an object that is no image; empty for a slice."""
    if header is None:
        return NOT_DICOM
    try:
        if not _has_image(header):
            uid = _storage_class(header)
            return NO_IMAGE if uid.name == uid else uid.name.removesuffix(" Storage")
        if "LOCALIZER" in (header.get("ImageType") or ()):
            return LOCALIZER
        return SCREEN_SAVE if is_screen_save(header) else ""
    except Exception:  # an image with a damaged ImageType is checked, and named, with the others
        return ""


def _has_image(header: Dataset) -> bool:
    """Whether an object is an image: by its SOP class if known, so that a truncated slice is not taken for a report.

    Private series data of Philips have Rows and Columns, but no pixels.
    """
    uid = _storage_class(header)
    return "Image Storage" in uid.name if uid.name != uid else "BitsAllocated" in header


def _storage_class(header: Dataset) -> UID:
    return UID(str(header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID") or ""))


def _frames(header: Dataset, path: Path, where: Where) -> list[Slice]:
    """One slice for each frame of an object."""
    whole = Slice(path, None, header)
    groups = element_value(whole, "PerFrameFunctionalGroupsSequence", where)
    several = element_value(whole, "NumberOfFrames", where)
    frames = int(element_numbers(whole, "NumberOfFrames", 1, where)[0]) if several else 1
    # a frame of an enhanced object has its own position, whatever is left in its type
    if groups is None and "MOSAIC" in str(element_value(whole, "ImageType", where)):
        remedy = "export it as slices or as an enhanced object, or convert it by dcm2niix"
        raise VolumeError(where("a Siemens mosaic, all slices of a volume in one image", path.name, remedy))
    if frames == 1 and groups is None:
        return [whole]
    if groups is None or len(groups) != frames:
        counts = f"{frames} frames, {0 if groups is None else len(groups)} items in {path.name}"
        raise VolumeError(where("frames and functional groups differ in number", counts, "export the series again"))
    shared = element_value(whole, "SharedFunctionalGroupsSequence", where) or []
    try:
        return [Slice(path, i, _flat(header, [*shared, own], i + 1)) for i, own in enumerate(groups)]
    except Exception as error:  # as above
        reason = f"{type(error).__name__} in {path.name}"
        raise VolumeError(where("cannot read the functional groups", reason, COPY_AGAIN)) from None


def _flat(header: Dataset, groups: list[Dataset], number: int) -> Dataset:
    """The header of a frame in the form of a classic single-frame slice."""
    flat = Dataset()
    flat.update({tag: element for tag, element in header.items() if tag.group != 0x5200})
    for group in groups:
        for macro in group:
            if macro.VR == "SQ" and not macro.tag.is_private and len(macro.value) == 1:
                flat.update({inner.tag: inner for inner in macro.value[0] if not inner.tag.is_private})
    flat.file_meta = header.file_meta
    flat.ReferencedFrameNumber = number
    return flat

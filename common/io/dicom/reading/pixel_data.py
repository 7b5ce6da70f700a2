"""Stored pixels of a file: judged from its header before anything is allocated, decoded by pydicom, cleaned of bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from common.errors import Finding, VolumeError, Where
from common.io.dicom.reading.headers import AGAIN, Slice, numbers, text

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Transfer syntaxes whose pixels lie in the file as they are."""
MOST_COMPRESSED = 1000
"""How many times its file a decoded object may be; real ones stay far below, forged headers do not."""
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
"""JPEG baseline, extended and lossless."""
CODECS = 'pip install ".[codecs]" (pylibjpeg, pylibjpeg-openjpeg, pyjpegls)'
GDCM = 'pip install ".[gdcm]" (python-gdcm)'
NO_CODEC = ("missing dependencies", "missing required dependencies")
"""What pydicom 3 and 2 say where the package that decodes a transfer syntax is not installed."""


def check_pixels(each: Slice, where: Where) -> None:
    """Refuse from the header what is no plane of grey values, or is larger than its file can hold.

    Raises:
        VolumeError: colour, odd bits, a file that is too short.
    """
    samples = numbers(each, "SamplesPerPixel", 1, where)[0]
    shown = text(each, "PhotometricInterpretation", where)
    if samples != 1 or shown not in MONOCHROME:
        found = f"{samples:g} samples a pixel" if samples != 1 else "another PhotometricInterpretation"
        raise VolumeError(where("pixels are grey values", f"{found} in {each.name}", "give the series of grey values"))
    allocated, stored, high = (
        int(numbers(each, name, 1, where)[0]) for name in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if allocated not in (8, 16, 32) or not 1 <= stored <= high + 1 <= allocated:
        rule = "pixels have 8, 16 or 32 bits, with those that are used inside"
        found = f"{allocated} allocated, {stored} stored, highest {high} in {each.name}"
        raise VolumeError(where(rule, found, "export the series again"))
    frames = 1 if each.frame is None else int(numbers(each, "NumberOfFrames", 1, where)[0])
    rows, columns = (int(numbers(each, name, 1, where)[0]) for name in ("Rows", "Columns"))
    needed, size = rows * columns * frames * allocated // 8, each.path.stat().st_size
    if needed > size * (1 if _syntax(each, where) in NATIVE else MOST_COMPRESSED):
        found = f"{size} bytes of {each.path.name} for {columns} x {rows} pixels in {frames} frames"
        raise VolumeError(where("the file must be complete", found, AGAIN))


def decode(each: Slice, where: Where) -> np.ndarray:
    """The stored pixels of a slice's file, (rows, columns) or (frames, rows, columns), without stray bits.

    Raises:
        VolumeError: pixels that cannot be decoded; where a codec is missing, naming what to install.
    """
    try:
        dataset = pydicom.dcmread(each.path)
        stored = np.asarray(dataset.pixel_array)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pydicom's codecs have many types for damage; those in Rust panic outside Exception
        raise VolumeError(_not_decoded(each, error, where)) from None
    shape = tuple(int(numbers(each, name, 1, where)[0]) for name in ("Rows", "Columns"))
    if stored.shape[-2:] != shape or stored.ndim != (2 if each.frame is None else 3):
        rule, found = f"pixels are {shape[1]} x {shape[0]}", f"{stored.shape[::-1]} in {each.path.name}"
        raise VolumeError(where(rule, found, AGAIN))
    return _cleaned(stored, each, where)


def _cleaned(stored: np.ndarray, each: Slice, where: Where) -> np.ndarray:
    """Bits outside BitsStored hold overlays or noise; the sign is that of the highest bit stored."""
    if not np.issubdtype(stored.dtype, np.integer):
        return stored
    used, high = (int(numbers(each, name, 1, where)[0]) for name in ("BitsStored", "HighBit"))
    bits = stored.dtype.itemsize * 8
    if high >= bits:
        raise VolumeError(where(f"pixels use {bits} bits", f"highest bit {high} in {each.name}", AGAIN))
    return (stored << (bits - 1 - high)) >> (bits - used)


def _syntax(each: Slice, where: Where) -> UID:
    meta = Slice(each.path, each.frame, each.header.file_meta)
    return UID(text(meta, "TransferSyntaxUID", where) or ImplicitVRLittleEndian)


def _not_decoded(each: Slice, error: BaseException, where: Where) -> Finding:
    rule, syntax = "pixels can be decoded", _syntax(each, where)
    if any(said in str(error) for said in NO_CODEC):
        remedy = f"{GDCM if syntax in JPEG else CODECS}, or convert the series to an uncompressed one"
        return where(rule, f"no codec for {syntax.name}", remedy)
    return where(rule, f"{type(error).__name__} in {each.path.name}", AGAIN)


def same_pixels(one: Slice, other: Slice, where: Where) -> bool:
    """Whether two slices hold the same stored pixels."""
    return np.array_equal(_plane(one, where), _plane(other, where))


def _plane(each: Slice, where: Where) -> np.ndarray:
    """The stored pixels of one slice, (rows, columns)."""
    check_pixels(each, where)
    stored = decode(each, where)
    return stored if each.frame is None else stored[each.frame]


def by_file(slices: list[Slice]) -> dict[Path, list[int]]:
    """The places of the slices of each file."""
    places: dict[Path, list[int]] = {}
    for place, each in enumerate(slices):
        places.setdefault(each.path, []).append(place)
    return places

"""Decoding of stored pixels: checked by the header before any allocation, without bits outside BitsStored."""

from __future__ import annotations

import numpy as np
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ....errors import NOT_INSTALLED, Finding, VolumeError, Where
from .headers import (
    COPY_AGAIN,
    Slice,
    element_numbers,
    element_text,
    element_value,
    read_dicom,
)

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
"""Uncompressed transfer syntaxes."""
LARGEST_COMPRESSION = 1000
"""Largest ratio of decoded pixels to file size; real files stay far below, forged headers do not."""
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
"""JPEG baseline, extended and lossless."""
CODECS = "pylibjpeg pylibjpeg-openjpeg pyjpegls"
GDCM = "python-gdcm"
NO_CODEC = ("missing dependencies", "missing required dependencies")
"""Messages of pydicom 3 and 2 where the package that decodes a transfer syntax is not installed."""


def check_pixels(each: Slice, where: Where) -> None:
    """Require greyscale pixels and no more of them than the file can hold, by the header alone.

    Raises:
        VolumeError: colour, unsupported bit depths, a file that is too short.
    """
    samples = element_numbers(each, "SamplesPerPixel", 1, where)[0]
    shown = element_text(each, "PhotometricInterpretation", where)
    if samples != 1 or shown not in MONOCHROME:
        kind = f"{samples:g} samples a pixel" if samples != 1 else "another PhotometricInterpretation"
        raise VolumeError(
            where("pixels are not grey values", f"{kind} in {each.name}", "give the series of grey values")
        )
    allocated, stored, high = (
        int(element_numbers(each, name, 1, where)[0]) for name in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if allocated not in (8, 16, 32) or not 1 <= stored <= high + 1 <= allocated:
        bits = f"{allocated} allocated, {stored} stored, highest {high} in {each.name}"
        raise VolumeError(where("unsupported bits of the pixels", bits, "export the series again"))
    frames = 1 if each.frame is None else int(element_numbers(each, "NumberOfFrames", 1, where)[0])
    rows, columns = (int(element_numbers(each, name, 1, where)[0]) for name in ("Rows", "Columns"))
    needed, size = rows * columns * frames * allocated // 8, each.path.stat().st_size
    if needed > size * (1 if _syntax(each, where) in NATIVE else LARGEST_COMPRESSION):
        sizes = f"{size} bytes of {each.path.name} for {columns} x {rows} pixels in {frames} frames"
        raise VolumeError(where("the file is truncated", sizes, COPY_AGAIN))


def decode_pixels(each: Slice, where: Where) -> tuple[np.ndarray, np.ndarray]:
    """Decode the stored pixels of a file, (rows, columns) or (frames, rows, columns), without stray bits.

    Returns:
        the pixels, and which of them had bits outside BitsStored that are no extension of the sign.

    Raises:
        VolumeError: pixels that cannot be decoded; for a missing codec, the message names the package to install.
    """
    try:
        dataset = read_dicom(each.path)
        if hasattr(dataset, "pixel_array_options"):  # pydicom 3 clears them without a word; MONAI Label needs pydicom 2
            dataset.pixel_array_options(correct_unused_bits=False)
        stored = np.asarray(dataset.pixel_array)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # codecs raise many types for damaged data; those in Rust panic outside Exception
        raise VolumeError(_not_decoded(each, error, where)) from None
    shape = tuple(int(element_numbers(each, name, 1, where)[0]) for name in ("Rows", "Columns"))
    if stored.shape[-2:] != shape or stored.ndim != (2 if each.frame is None else 3):
        shapes = f"shape {stored.shape[::-1]} instead of {shape[1]} x {shape[0]} in {each.path.name}"
        raise VolumeError(where("the pixels do not fit their header", shapes, COPY_AGAIN))
    pixels = _without_stray_bits(stored, each, where)
    return pixels, _strayed(stored, pixels, each, where)


def _strayed(stored: np.ndarray, pixels: np.ndarray, each: Slice, where: Where) -> np.ndarray:
    """Which pixels had bits outside BitsStored; of negative ones bits that are all set are an extension of the sign."""
    used, high = _bits(each, where)
    low = high + 1 - used
    if not np.issubdtype(stored.dtype, np.integer) or used == stored.dtype.itemsize * 8:
        return np.zeros(stored.shape, dtype=bool)
    inside = np.array(((1 << used) - 1) << low).astype(stored.dtype)
    strayed: np.ndarray = ((stored & ~inside) != 0) & (stored != pixels << low)
    return strayed


def _without_stray_bits(stored: np.ndarray, each: Slice, where: Where) -> np.ndarray:
    """Clear bits outside BitsStored, which hold overlays or noise, and extend the sign from the highest stored bit."""
    if not np.issubdtype(stored.dtype, np.integer):
        return stored
    used, high = _bits(each, where)
    bits = stored.dtype.itemsize * 8
    if high >= bits:
        raise VolumeError(where(f"HighBit is beyond the {bits} bits of a pixel", f"{high} in {each.name}", COPY_AGAIN))
    return (stored << (bits - 1 - high)) >> (bits - used)


def _bits(each: Slice, where: Where) -> tuple[int, int]:
    """How many bits are stored, and the highest of them."""
    used, high = (int(element_numbers(each, name, 1, where)[0]) for name in ("BitsStored", "HighBit"))
    return used, high


def padding_of(each: Slice, plane: np.ndarray, where: Where) -> np.ndarray | None:
    """Which pixels of a slice, (rows, columns) as decoded, are padding by its header; None where none are.

    The values of the header are taken by their bits, since signed ones are found under the VR of unsigned ones.
    """
    names = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    given = [name for name in names if element_value(each, name, where) is not None]
    if names[0] not in given or not np.issubdtype(plane.dtype, np.integer):
        return None
    numbers = [int(element_numbers(each, name, 1, where)[0]) for name in given]
    raw = np.array([number % 2 ** (8 * plane.dtype.itemsize) for number in numbers], f"u{plane.dtype.itemsize}")
    used, high = _bits(each, where)
    ends = _without_stray_bits(raw.view(plane.dtype) << (high + 1 - used), each, where)
    inside = (plane >= ends.min()) & (plane <= ends.max())
    return inside if inside.any() else None


def _syntax(each: Slice, where: Where) -> UID:
    meta = Slice(each.path, each.frame, each.header.file_meta)
    return UID(element_text(meta, "TransferSyntaxUID", where) or ImplicitVRLittleEndian)


def _not_decoded(each: Slice, error: BaseException, where: Where) -> Finding:
    syntax = _syntax(each, where)
    if any(message in str(error) for message in NO_CODEC):
        packages = GDCM if syntax in JPEG else CODECS
        remedy = f"pip install {packages}, or convert the series to an uncompressed one"
        return where(f"a decoder of {syntax.name} {NOT_INSTALLED}", "", remedy)
    return where("cannot decode the pixels", f"{type(error).__name__} in {each.path.name}", COPY_AGAIN)


def decode_plane(each: Slice, where: Where) -> np.ndarray:
    """The stored pixels of one slice, (rows, columns), after the checks of its header.

    Raises:
        VolumeError: as :func:`check_pixels` and :func:`decode_pixels`.
    """
    check_pixels(each, where)
    stored, _ = decode_pixels(each, where)
    return stored if each.frame is None else stored[each.frame]

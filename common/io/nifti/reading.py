"""Safe reading of NIfTI volumes: header checks first, voxels only from a valid header."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.volumeutils import apply_read_scaling

from ...errors import Finding, VolumeError, Where
from ..file_checks import FILL, NOT_FINITE, first_bytes, reason_of
from . import header_fields as fields

HEADER_SIZES = (348, 540)
FLAG_BYTES, SMALLEST_EXTENSION = 4, 16
"""A header is followed by four bytes; the first is not 0 before an extension. Extensions have multiples of 16 bytes."""
READ_ERRORS = (OSError, EOFError, zlib.error, ValueError)
DAMAGED = "the file cannot be read to its end"
LONGER = "the file holds more than its header claims"
PART_BYTES = 2**24
"""Stored voxels that are in memory besides the float32 volume while it is read."""


@dataclass(frozen=True)
class Header:
    """The checked header of a volume.

    ``affine`` maps voxel indices to millimetres (RAS+); ``stored`` is nibabel's description of the voxels: shape on
    disk, dtype, byte offset, slope, intercept. ``warnings`` are findings with which the volume remains usable.
    """

    path: Path
    case: str
    shape: tuple[int, int, int]
    channels: int
    affine: np.ndarray
    stored: tuple[tuple[int, ...], np.dtype, int, float, float]
    warnings: tuple[Finding, ...]


def read_header(path: str | Path, case: str, channels: int | None = None) -> Header:
    """Read and check the header; no memory is allocated for the voxels.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file.
        case: the name of the case, for messages.
        channels: the length of a fourth dimension; None accepts length 1 only.

    Raises:
        VolumeError: naming case, file, fault, value and remedy.
    """
    path = Path(path)
    where = partial(Finding, case, path.name)
    _check_file(path, where)
    raw = parse_header(path, where)
    dims, count = fields.dimensions(raw, channels, where)
    dtype, offset = fields.stored_type(raw, where)
    fields.check_size(path, dims, dtype, offset, where)
    slope, inter, notes = fields.scaling(raw, where)
    affine, more = fields.best_affine(raw, dims[:3], where)
    return Header(
        path=path,
        case=case,
        shape=cast("tuple[int, int, int]", dims[:3]),
        channels=count,
        affine=affine,
        stored=(dims, dtype, offset, slope, inter),
        warnings=(*notes, *more),
    )


def read_values(header: Header, nan_fill: float | None = None) -> np.ndarray:
    """Read the scaled voxels, float32 of shape ``(X, Y, Z)``, or ``(C, X, Y, Z)`` where channels were declared.

    The gzip checksum is verified. NaN and Inf are refused, or replaced by ``nan_fill`` if given.

    Raises:
        VolumeError: truncated or damaged file, one that holds a plane more than its header claims, or an extension
            where its voxels should begin, voxels that are not finite or do not fit float32.
    """
    where = partial(Finding, header.case, header.path.name)
    values = np.empty((header.channels, *header.shape), np.float32)
    missing, largest = 0, 0.0
    try:
        with _open(header.path) as stream:
            extended = _is_without_room(stream, header.stored[2])
            for channel, part, scaled in _parts(stream, header):
                finite = np.isfinite(scaled)
                missing += finite.size - np.count_nonzero(finite)
                ends = scaled.max(initial=0, where=finite), scaled.min(initial=0, where=finite)
                largest = max(largest, float(ends[0]), -float(ends[1]))
                with np.errstate(over="ignore"):  # refused below
                    values[channel, :, :, part] = scaled if nan_fill is None else np.where(finite, scaled, nan_fill)
            rest = _rest(stream)
    except READ_ERRORS as error:
        raise VolumeError(where(DAMAGED, reason_of(error), "copy or export it again")) from error
    if extended and rest:
        place = f"vox_offset {header.stored[2]}, {rest} bytes after the voxels"
        raise VolumeError(where("voxels begin inside an extension of the header", place, "export the file again"))
    plane = header.stored[1].itemsize * header.shape[0] * header.shape[1]
    if rest >= plane:
        more = f"{rest} bytes after {'x'.join(map(str, header.shape))} voxels"
        raise VolumeError(where(LONGER, more, "export the file again"))
    if nan_fill is None and missing:
        share = f"{missing} NaN or Inf of {values.size} voxels"
        raise VolumeError(where(NOT_FINITE, share, FILL))
    if largest > float(np.finfo(np.float32).max):
        raise VolumeError(where("values do not fit float32", f"{largest:.3g}", "rescale the file"))
    return values if header.channels > 1 else values[0]


def _is_without_room(stream: BinaryIO, offset: int) -> bool:
    """Whether a file announces an extension of its header, of 16 bytes at least, where its voxels begin."""
    start = stream.read(HEADER_SIZES[-1] + FLAG_BYTES)
    size = _header_size(start) or 0
    return start[size : size + 1] not in (b"", b"\0") and offset < size + FLAG_BYTES + SMALLEST_EXTENSION


def _parts(stream: BinaryIO, header: Header) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Some planes at a time of a file, scaled as nibabel scales them: channel, planes and values (X, Y, planes)."""
    x, y, z = header.shape
    _, dtype, offset, slope, inter = header.stored
    stream.seek(offset)
    step = max(1, PART_BYTES // (x * y * dtype.itemsize))
    for channel, start in itertools.product(range(header.channels), range(0, z, step)):
        stop = min(start + step, z)
        stored = np.empty((x, y, stop - start), dtype, order="F")
        if (size := _fill(stream, memoryview(stored.T).cast("B"))) < stored.nbytes:
            raise OSError(f"{stored.nbytes - size} bytes are missing")
        yield channel, slice(start, stop), apply_read_scaling(stored, np.float64(slope), np.float64(inter))


def _fill(stream: BinaryIO, buffer: memoryview) -> int:
    """Read until a buffer is full or the stream ends; the number of bytes read."""
    count = 0
    while count < len(buffer) and (got := stream.readinto(buffer[count:])):  # type: ignore[attr-defined]
        count += got
    return count


def is_constant(values: np.ndarray) -> bool:
    """Whether all voxels have the same value."""
    return bool(values.min() == values.max())


def _rest(stream: BinaryIO) -> int:
    """How many bytes are left; gzip compares the checksum at the end of the stream."""
    count = 0
    while part := stream.read(1 << 20):
        count += len(part)
    return count


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


def _check_file(path: Path, where: Where) -> None:
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        remedy = "convert it to NIfTI (pickled arrays such as .npy are never opened)"
        raise VolumeError(where("not a .nii or .nii.gz file", f"'{path.suffix}'", remedy))
    start = first_bytes(path, 64, where)
    if not start:
        raise VolumeError(where("the file is empty", "", "copy or export it again"))
    _check_start(start, path.name.lower().endswith(".gz"), where)


def _check_start(start: bytes, gzipped: bool, where: Where) -> None:
    is_gzip, is_raw = start[:2] == b"\x1f\x8b", _header_size(start) is not None
    if (is_gzip and gzipped) or (is_raw and not gzipped):
        return
    if start.lstrip().startswith(b"<"):
        finding = where("a web page (HTML or XML), not a volume", "", "download it again, perhaps after logging in")
    elif is_gzip:
        finding = where("gzip data named .nii", "", "rename it to .nii.gz")
    elif is_raw:
        finding = where("uncompressed NIfTI named .nii.gz", "", "rename it to .nii")
    else:
        finding = where("not NIfTI data", f"it begins with {start[:8]!r}", "copy or export it again")
    raise VolumeError(finding)


def _header_size(start: bytes) -> int | None:
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    return next((size for size in HEADER_SIZES if size in sizes), None)


def parse_header(path: Path, where: Where) -> nib.Nifti1Header:
    """The header as it is in the file; only its size and kind are checked.

    Raises:
        VolumeError: for another file than a single NIfTI file.
    """
    try:
        with _open(path) as stream:
            block = stream.read(540)
    except READ_ERRORS as error:
        raise VolumeError(where(DAMAGED, reason_of(error), "copy or export it again")) from error
    size = _header_size(block)
    if size is None or len(block) < size:
        start = f"in its first {len(block)} bytes"
        raise VolumeError(where("no NIfTI header", start, "copy or export the file again"))
    kind: type[nib.Nifti1Header] = nib.Nifti1Header if size == 348 else nib.Nifti2Header
    raw = kind(block[:size], check=False)
    magic = bytes(raw["magic"])
    if not magic.startswith(b"n+1" if size == 348 else b"n+2"):
        remedy = "convert Analyze and .hdr/.img pairs to single-file NIfTI"
        raise VolumeError(where("not a single-file NIfTI", f"magic {magic!r} in a header of {size} bytes", remedy))
    return raw

"""FreeSurfer's volumes (``.mgz``, ``.mgh``), read by nibabel after the checks of their header."""

from __future__ import annotations

import gzip
import math
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError

from ..errors import Finding, VolumeError, Where
from ..grids import is_invertible, show_affine
from .file_checks import as_float32, first_bytes, reason_of
from .nifti.header_fields import check_size
from .nifti.reading import DAMAGED, READ_ERRORS
from .voxel_bytes import GZIP, VoxelBytes, require_whole

MGH = (".mgz", ".mgh")
HEADER_BYTES = 90
"""Of the fields; voxels begin at byte 284."""
VERSION = b"\0\0\0\1"
GOOD_RAS = slice(28, 30)
"""Bytes of the flag that the header gives spacing, directions and middle. Without it nibabel 5.4.2 takes axes other
than FreeSurfer: superior for inferior, and posterior for anterior."""


def read_mgh_grid(path: Path, case: str, channels: int | None = None) -> tuple[tuple[int, ...], np.ndarray]:
    """Read and check the header; no memory is allocated for the voxels.

    Args:
        path: with one of ``MGH``.
        case: for messages.
        channels: number of frames; None accepts one.

    Returns:
        shape (X, Y, Z), and the affine (4, 4) to RAS mm of the scanner, not of FreeSurfer's surfaces.

    Raises:
        VolumeError: the file cannot be read, or holds less than its header claims, another number of frames, no
            orientation, or an affine that is not invertible.
    """
    where = partial(Finding, case, path.name)
    start = _start(path, where)
    if not start.startswith(VERSION) or len(start) < HEADER_BYTES:
        raise VolumeError(where("not FreeSurfer's MGH data", f"it begins with {start[:4]!r}", "copy it again"))
    try:
        header: Any = MGHHeader(start)
        dtype, shape = header.get_data_dtype(), tuple(int(size) for size in header["dims"])
        affine = np.asarray(header.get_affine())
    except (HeaderDataError, KeyError, ValueError) as error:
        raise VolumeError(where("invalid header", str(error), "export the file again")) from error
    if min(shape) < 1:
        raise VolumeError(where("invalid dimensions in the header", f"{list(shape)}", "export the file again"))
    check_size(path, shape, dtype, header.get_data_offset(), where)
    if shape[3] != (channels or 1):
        remedy = "set reader::channels, or split the frames into files of their own"
        raise VolumeError(where("wrong number of frames", f"{shape[3]} instead of {channels or 1}", remedy))
    if int.from_bytes(start[GOOD_RAS], "big") < 1:
        raise VolumeError(where("no orientation in the header", "goodRASFlag is 0", "export it again by mri_convert"))
    if not is_invertible(affine):
        raise VolumeError(where("the affine is not finite and invertible", show_affine(affine), "export it again"))
    return shape[:3], affine


def read_mgh(
    path: Path, case: str, nan_fill: float | None = None, channels: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read a volume.

    Args:
        path: with one of ``MGH``.
        case: for messages.
        nan_fill: replaces NaN and infinity, which are errors otherwise.
        channels: number of frames; None accepts one.

    Returns:
        the values, float32 (X, Y, Z), or (C, X, Y, Z) with ``channels`` above 1, and the affine (4, 4) to RAS mm.

    Raises:
        VolumeError: as :func:`read_mgh_grid`; a damaged file; values as :func:`common.io.file_checks.as_float32`.
    """
    where = partial(Finding, case, path.name)
    shape, affine = read_mgh_grid(path, case, channels)
    try:
        stored = np.asarray(nib.load(path).dataobj)  # type: ignore[attr-defined]
    except READ_ERRORS as error:
        raise VolumeError(where(DAMAGED, reason_of(error), "copy or export it again")) from error
    if path.suffix.lower() == ".mgz":
        require_whole(VoxelBytes(path, GZIP), None, where)
    values = np.moveaxis(stored, -1, 0) if stored.size > math.prod(shape) else stored.reshape(shape, order="F")
    return as_float32(values, nan_fill, where), affine


def _start(path: Path, where: Where) -> bytes:
    start = first_bytes(path, HEADER_BYTES, where)
    if path.suffix.lower() != ".mgz":
        return start
    try:
        with gzip.open(path, "rb") as file:
            return file.read(HEADER_BYTES)
    except READ_ERRORS as error:
        raise VolumeError(where("cannot read the file", reason_of(error), "copy it again")) from error

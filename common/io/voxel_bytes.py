"""Whether a file holds the voxels that its header claims, whole and no more, which ITK 5.4 does not look at.

ITK reads the first voxels of a longer file, and compares no checksum of compressed ones; what it cannot decompress of a
MetaImage is whatever is in memory.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import VolumeError, Where
from .file_checks import first_bytes, reason_of
from .nifti.reading import DAMAGED, LONGER, READ_ERRORS

RAW, GZIP, ZLIB = "raw", "gzip", "zlib"
ANY_WRAPPER = 47
"""Bits of the window by which zlib reads a stream of gzip's form too, as MetaIO does."""
PART_BYTES = 2**20


@dataclass(frozen=True)
class VoxelBytes:
    """Where voxels lie: the file, their first byte, their ``form``, and how many bytes they have there.

    ``size`` is None where they go on to the end of the file. The first ``skipped`` bytes, of decompressed ones too, are
    no voxels.
    """

    file: Path
    form: str
    start: int = 0
    size: int | None = None
    skipped: int = 0


def require_whole(voxels: VoxelBytes, needed: int | None, where: Where) -> None:
    """Count the bytes of voxels; compressed ones are decompressed to their end, some at a time.

    Args:
        voxels: their place.
        needed: number of bytes that the header claims; None where others may follow them.
        where: for messages.

    Raises:
        VolumeError: there is no such file, or the voxels are damaged, cut off, or other than the header claims.
    """
    first_bytes(voxels.file, 1, where)
    try:
        with voxels.file.open("rb") as file:
            file.seek(voxels.start)
            count = _count(file, voxels) - voxels.skipped
    except READ_ERRORS as error:
        raise VolumeError(where(DAMAGED, reason_of(error), "copy or export it again")) from error
    if needed is not None and count < needed:
        raise VolumeError(where(DAMAGED, f"{count} of {needed} bytes", "copy or export it again"))
    if needed is not None and count > needed:
        raise VolumeError(where(LONGER, f"{count} bytes for {needed}", "export the file again"))


def _count(file: BinaryIO, voxels: VoxelBytes) -> int:
    if voxels.form == RAW:
        return os.fstat(file.fileno()).st_size - voxels.start
    return sum(map(len, _gzip(file) if voxels.form == GZIP else _zlib(file, voxels.size)))


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as stream:
        while part := stream.read(PART_BYTES):
            yield part


def _zlib(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    stream = zlib.decompressobj(ANY_WRAPPER)
    left = size
    while not stream.eof:
        packed = file.read(PART_BYTES if left is None else min(PART_BYTES, left))
        if not packed:
            raise EOFError("the compressed data end before their end-of-stream marker")
        left = None if left is None else left - len(packed)
        while packed and not stream.eof:
            yield stream.decompress(packed, PART_BYTES)
            packed = stream.unconsumed_tail

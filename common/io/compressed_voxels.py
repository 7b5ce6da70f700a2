"""Whether compressed voxels are whole: the checksum at their end, which ITK 5.4 and nibabel do not compare.

ITK fills what it cannot decompress of a MetaImage with whatever is in memory, and raises no error.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import VolumeError, Where
from .file_checks import reason_of
from .nifti.reading import DAMAGED, READ_ERRORS

GZIP, ZLIB = "gzip", "zlib"
ANY_WRAPPER = 47
"""Bits of the window by which zlib reads a stream of gzip's form too, as MetaIO does."""
PART_BYTES = 2**20


@dataclass(frozen=True)
class CompressedVoxels:
    """Where compressed voxels lie: the file, their first byte, their ``form``, and their number of bytes.

    ``size`` is None where they go on to the end of the file.
    """

    file: Path
    form: str
    start: int = 0
    size: int | None = None


def require_whole(voxels: CompressedVoxels, needed: int, where: Where) -> None:
    """Decompress voxels to their end, some at a time.

    Args:
        voxels: place of the compressed bytes.
        needed: number of bytes that the header claims.
        where: for messages.

    Raises:
        VolumeError: they are damaged, cut off, or fewer than the header claims.
    """
    count = 0
    try:
        with voxels.file.open("rb") as file:
            file.seek(voxels.start)
            parts = _gzip(file) if voxels.form == GZIP else _zlib(file, voxels.size)
            count = sum(map(len, parts))
    except READ_ERRORS as error:
        raise VolumeError(where(DAMAGED, reason_of(error), "copy or export it again")) from error
    if count < needed:
        raise VolumeError(where(DAMAGED, f"{count} of {needed} bytes", "copy or export it again"))


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

"""Reproducible zips: the same bytes whenever and wherever they are built from the same files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from common.errors import OutputError
from common.files import write_whole

DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can hold: when a release was built says nothing about it."""
PLAIN_FILE = 0o100644 << 16
UNIX = 3


def write(path: Path, top: str, files: Mapping[str, bytes]) -> None:
    """Write files under one top folder; the name appears when the zip is whole.

    Nothing is compressed: weights hardly shrink, and what the compressor makes of the rest depends on its version.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """
    try:
        write_whole(path, lambda name: _write(name, top, files))
    except OutputError as error:
        fault = f"cannot write {path} ({getattr(error.__cause__, 'strerror', error)})"
        raise OutputError(fault, "free space or choose another folder by --out") from error


def _write(name: str, top: str, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_STORED) as archive:
        for place in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{place}", DATE)
            entry.external_attr, entry.create_system = PLAIN_FILE, UNIX
            archive.writestr(entry, files[place])

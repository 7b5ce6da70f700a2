"""Safe unpacking of bundle zips."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from monai.apps.utils import safe_extract_member

from common.errors import DataError
from tools.verify.verdicts import Fault, Found, check, expect

RATIO = 500
"""Times that a file may shrink in a zip; more is a zip bomb rather than a bundle."""
REMEDY = "do not unpack it; pack the bundle with python -m tools.pack"


@check("archive.safe", "sound", "zip-slip")
def safe(path: Path) -> Found:
    """Nothing in the zip reaches outside its folder."""
    members, damaged = _members(path)
    yield expect(not damaged, f"{path.name}: {damaged}", "has a sound checksum", "a damaged record", "pack it again")
    for member in members:
        yield from _unsafe(f"{path.name}: {member.filename}", member)
    files = {member.filename for member in members}
    value = f"{len(members)} records of {len(files)} files"
    yield expect(len(members) == len(files), path.name, "holds every file once", value, REMEDY)
    tops = sorted({name.split("/")[0] for name in files})
    one = len(tops) == 1 and any("/" in name for name in files)
    yield expect(one, path.name, "has one top folder, named as the bundle", tops, "MONAI's download looks for it")


def _members(path: Path) -> tuple[list[zipfile.ZipInfo], str | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist(), archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(str(path), "is a zip that can be read", error, "give a whole bundle zip") from error


def _unsafe(name: str, member: zipfile.ZipInfo) -> Iterator[Fault | None]:
    try:
        safe_extract_member(member.filename.replace("\\", "/"), ".")
    except ValueError as error:
        yield Fault(name, "stays inside the folder it is unpacked to", error, REMEDY)
    link = stat.S_ISLNK(member.external_attr >> 16)
    yield expect(not link, name, "is a file or a folder", "a symbolic link", REMEDY)
    small = member.file_size <= max(RATIO * max(member.compress_size, 1), 2**20)
    yield expect(small, name, f"unpacks to at most {RATIO} times its size", f"{member.file_size} bytes", REMEDY)


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a zip without faults; returns the bundle's folder."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        return folder / archive.namelist()[0].split("/")[0]

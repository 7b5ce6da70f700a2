"""Safe unpacking of bundle zips."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from monai.apps.utils import safe_extract_member

from common.errors import DataError
from tools.verify.bundle import Bundle
from tools.verify.verdicts import Fault, check

RATIO = 500
"""Times that a file may shrink in a zip; more is a zip bomb rather than a bundle."""
REMEDY = "do not unpack it; pack the bundle with python -m tools.pack"


@check("archive.safe", "sound", "zip-slip")
def safe(path: Path) -> Iterator[Fault]:
    """Nothing in the zip reaches outside its folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            members, damaged = archive.infolist(), archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(str(path), "is a zip that can be read", error, "give a whole bundle zip") from error
    if damaged:
        yield Fault(f"{path.name}: {damaged}", "has a sound checksum", "a damaged record", "pack it again")
    for member in members:
        yield from _unsafe(f"{path.name}: {member.filename}", member)
    if len(members) != len(names := {member.filename for member in members}):
        yield Fault(path.name, "holds every file once", f"{len(members)} records of {len(names)} files", REMEDY)
    tops = sorted({member.filename.split("/")[0] for member in members})
    if len(tops) != 1 or not any("/" in member.filename for member in members):
        remedy = "MONAI's download looks for that folder"
        yield Fault(path.name, "has one top folder, named as the bundle", tops, remedy)


def _unsafe(name: str, member: zipfile.ZipInfo) -> Iterator[Fault]:
    try:
        safe_extract_member(member.filename.replace("\\", "/"), ".")
    except ValueError as error:
        yield Fault(name, "stays inside the folder it is unpacked to", error, REMEDY)
    if stat.S_ISLNK(member.external_attr >> 16):
        yield Fault(name, "is a file or a folder", "a symbolic link", REMEDY)
    if member.file_size > RATIO * max(member.compress_size, 1) and member.file_size > 2**20:
        yield Fault(name, f"unpacks to at most {RATIO} times its size", f"{member.file_size} bytes", REMEDY)


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a zip without faults; returns the bundle's folder."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
        return folder / archive.namelist()[0].split("/")[0]


def copy(bundle: Bundle, folder: Path) -> Path:
    """A copy of a bundle's folder that its code may write into, without what using it has left there."""
    target = folder / bundle.name
    for path in bundle.files():
        place = target / path.relative_to(bundle.folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return target

"""Bundles in a zip: opened only when nothing in it reaches outside the folder that receives it."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from common.errors import DataError
from tools.verify.bundle import Bundle
from tools.verify.verdicts import Check, Fault

LARGEST = 50 * 2**30
"""Bytes that a zip may claim to unpack to."""
RATIO = 500
"""Times that a file may shrink in a zip; more is a zip bomb rather than a bundle."""


def faults(path: Path) -> Iterator[Fault]:
    """What makes a zip unsafe to unpack, or no zip of a bundle.

    Raises:
        DataError: where the file is no zip at all.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            yield from _unsafe(path.name, members)
            if damaged := archive.testzip():
                yield Fault(f"{path.name}: {damaged}", "has a sound checksum", "a damaged record", "pack it anew")
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(str(path), "is a zip that can be read", error, "give a whole bundle zip") from error


def _unsafe(name: str, members: list[zipfile.ZipInfo]) -> Iterator[Fault]:
    remedy = "do not unpack it; pack the bundle with python -m tools.pack"
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if ".." in parts or member.filename.startswith(("/", "\\")) or ":" in parts[0]:
            yield Fault(f"{name}: {member.filename}", "stays inside the folder it is unpacked to", "a way out", remedy)
        if stat.S_ISLNK(member.external_attr >> 16):
            yield Fault(f"{name}: {member.filename}", "is a file or a folder", "a symbolic link", remedy)
        if member.file_size > RATIO * max(member.compress_size, 1) and member.file_size > 2**20:
            rule = f"unpacks to at most {RATIO} times its size"
            yield Fault(f"{name}: {member.filename}", rule, f"{member.file_size} bytes", remedy)
    if (total := sum(member.file_size for member in members)) > LARGEST:
        yield Fault(name, f"unpacks to at most {LARGEST} bytes", total, remedy)
    names = [member.filename for member in members]
    if twice := sorted({item for item in names if names.count(item) > 1}):
        yield Fault(name, "holds every file once", f"{twice[0]} twice", remedy)
    tops = sorted({item.split("/")[0] for item in names})
    if len(tops) != 1 or not any("/" in item for item in names):
        yield Fault(name, "has one top folder, named as the bundle", tops, "MONAI's download looks for that folder")


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


CHECK = Check("archive.safe", "nothing in the zip reaches outside its folder", "zip-slip", "sound", lambda _: ())

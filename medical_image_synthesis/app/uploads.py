"""What is uploaded: one volume, a DICOM series as files or as a zip, in a folder of its own under neutral names.

A file's name may be that of a patient; messages and addresses name the stored file, which is never called so.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from common.errors import DataError
from medical_image_synthesis.places import SLICES

VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mgz")
"""Endings of volumes that are one file."""
SPLIT = {".mhd": ".mha", ".nhdr": ".nrrd", ".hdr": ".nii.gz", ".img": ".nii.gz"}
"""Endings of formats whose voxels lie in another file, and those to save them as."""
MOST_FILES = 20_000
"""Files of a series, and members of a zip."""
CHUNK = 1 << 20
REMEDY = "upload a volume (.nii, .nii.gz, .nrrd, .mha, .mgz), a folder of DICOM files, or a zip of one"


class UploadedFile(NamedTuple):
    """A file by the name that the user's program gave it."""

    name: str
    file: BinaryIO


def stored(uploads: Sequence[UploadedFile], folder: Path, most_bytes: int) -> Path:
    """Store an upload; the path is that of a volume, or of a folder with the files of a series.

    Args:
        uploads: one volume or zip, or the files of a DICOM series.
        folder: a new one of the case.
        most_bytes: of all files, unpacked.

    Raises:
        DataError: it is none of these, or too large.
    """
    files = [each for each in uploads if not PurePosixPath(each.name).name.startswith(".")]
    if not files:
        raise DataError("no file was uploaded", REMEDY)
    ending = _ending(files[0].name)
    if len(files) == 1 and ending in SPLIT:
        raise DataError(f"a {ending} file has its voxels in another file", f"save it as {SPLIT[ending]}")
    if len(files) == 1 and ending in VOLUMES:
        source = folder / f"scan{ending}"
        _copy(files[0].file, source, most_bytes)
        return source
    series = folder / "scan"
    series.mkdir(mode=0o700)
    if len(files) == 1 and ending == ".zip":
        _unpack(files[0].file, series, most_bytes)
        return series
    if any(_ending(each.name) in (*VOLUMES, *SPLIT, ".zip") for each in files):
        raise DataError(f"{len(files)} files that are no DICOM series", "upload one scan at a time")
    if len(files) > MOST_FILES:
        raise DataError(f"{len(files)} files, more than {MOST_FILES}", "upload one series")
    left = most_bytes
    for number, each in enumerate(files, 1):
        left -= _copy(each.file, series / _numbered(number, each.name), left)
    if len(files) == 1:
        from common.io.dicom.reading.headers import is_dicom  # the server starts without pydicom

        if not is_dicom(next(series.iterdir())):
            raise DataError("the file is no DICOM, and its name does not end as that of a volume or a zip", REMEDY)
    return series


def stem(name: str) -> str:
    """The name of an upload without its ending."""
    return name[: len(name) - len(_ending(name))]


def _ending(name: str) -> str:
    """The ending of a file in small letters, empty where it is none of these."""
    known = (*VOLUMES, *SPLIT, *SLICES, ".zip")
    return next((each for each in known if name.lower().endswith(each)), "")


def _numbered(number: int, name: str) -> str:
    """The name of a stored file of a series; a file that is not called a slice, such as a licence, need not be one."""
    return f"{number:05d}{_ending(name) if _ending(name) in SLICES else ''}"


def _copy(file: BinaryIO, path: Path, most_bytes: int) -> int:
    """Copy a file, and return its size.

    Raises:
        DataError: it is larger.
    """
    size = 0
    with path.open("xb") as copy:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > most_bytes:
                raise DataError("the upload is larger than the server takes", "upload one series, or raise --max_gb")
            copy.write(chunk)
    return size


def _unpack(file: BinaryIO, series: Path, most_bytes: int) -> None:
    """Unpack the files of a zip under numbers, whatever its members are called.

    Raises:
        DataError: it is no zip, has a password, a link or no file, or its files are too many or too large.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = [each for each in archive.infolist() if not each.is_dir() and _is_scan(each.filename)]
            if not members:
                raise DataError("the zip is empty", REMEDY)
            if len(members) > MOST_FILES:
                raise DataError(f"the zip has {len(members)} files, more than {MOST_FILES}", "upload one series")
            if any(each.flag_bits & 1 for each in members):
                raise DataError("the zip has a password", "upload one without")
            if any(each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for each in members):
                raise DataError("the zip is not packed by deflate", "make it again")  # Python unpacks others at once
            if any(stat.S_ISLNK(each.external_attr >> 16) for each in members):
                raise DataError("the zip has links", "upload one with files alone")
            if any(_ending(each.filename) in (*VOLUMES, *SPLIT, ".zip") for each in members):
                raise DataError("the zip has files that are no DICOM", "upload a volume as it is, without a zip")
            left = most_bytes
            for number, member in enumerate(members, 1):
                with archive.open(member) as one:
                    left -= _copy(one, series / _numbered(number, member.filename), left)  # type: ignore[arg-type]
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise DataError("the zip cannot be unpacked", "make it again") from error  # its own message may name members


def _is_scan(name: str) -> bool:
    """Whether a member may be part of a series: not what macOS adds, and no hidden file."""
    return not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith(".")


def has_room(folder: Path, size: int) -> bool:
    """Whether a disk has room for an upload, its copy and what is made of it."""
    return shutil.disk_usage(folder).free > 4 * size

"""Identity of image files: a hash of the voxels, the same for every path, name, header text and compression."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..io import VolumeReader
from .datalist import Item

HASHED = ("image", "label")
"""Keys of a case that identify it; two cases may well have equal masks, see :func:`masks_of`."""
THREADS = 4
"""Volumes read at a time; each is in memory as float32, while decompression leaves Python's lock."""


class FileIdentity(NamedTuple):
    """Hash of the voxels of a file or series, with the size and time by which a change is noticed."""

    sha256: str
    size: int
    mtime_ns: int


_known: dict[str, FileIdentity] = {}
"""Identities by real path, of this process and of the records it has read."""


def content_hash(values: np.ndarray) -> str:
    """SHA-256 of shape and values as float32, such as (X, Y, Z); 0 and -0 are equal."""
    digest = hashlib.sha256(str(values.shape).encode())
    # the transpose of a NIfTI volume is contiguous as it was stored
    digest.update(np.add(values.T, np.float32(0), dtype="<f4", order="C").reshape(-1).data)
    return digest.hexdigest()


def identify(items: Iterable[Item], reader: VolumeReader | None = None) -> dict[str, FileIdentity]:
    """The identity of every image and label of these cases, by path as listed; files that are known are not read.

    Args:
        items: of a datalist.
        reader: of the volumes; its ``nan_fill`` and ``resample_tilt`` do not change an identity.

    Raises:
        DataError: for a file that cannot be read.
    """
    given = reader or VolumeReader()
    plain = given.lenient()
    files = {path: (case, channels) for item in items for path, case, channels in _files(item, given.channels)}
    unread = [path for path in files if _current(path) is None]

    def read(path: str) -> None:
        case, channels = files[path]
        _store(path, plain.check(path, case, channels).values)

    if unread:
        with ThreadPoolExecutor(THREADS) as pool:
            bar = {"total": len(unread), "desc": "identifying", "unit": "file", "leave": False, "disable": None}
            list(tqdm(pool.map(read, unread), **bar))
    return {path: _known[os.path.realpath(path)] for path in files}


def remember(path: str, values: np.ndarray, nan_fill: float | None = None) -> None:
    """Note the identity of a file that was just read, so that :func:`identify` need not read it again.

    Args:
        path: of the file or series.
        values: float32 (X, Y, Z) or (C, X, Y, Z), as a :class:`common.io.VolumeReader` returns them.
        nan_fill: with which they were read.
    """
    if not nan_fill:  # None or 0, with which the identity is computed as well
        _store(path, values)


def recall(files: Mapping[str, FileIdentity]) -> None:
    """Take over the identities of a record, by path; those of files that have changed since are without effect."""
    for path, identity in files.items():
        real = os.path.realpath(path)
        if _stamp(real) == identity[1:]:
            _known[real] = identity


def paths_of(item: Item, keys: Iterable[str] = HASHED) -> list[str]:
    """The paths of a case's images and of its label, or of other files."""
    values = [item[key] for key in keys if key in item]
    return [path for value in values for path in ([value] if isinstance(value, str) else value)]


def masks_of(items: Iterable[Item]) -> list[Item]:
    """Items of :func:`identify` that name the masks of cases alone, which have one channel each."""
    return [{"case": item["case"], "label": item["mask"]} for item in items if "mask" in item]


def _files(item: Item, channels: int | None) -> Iterator[tuple[str, str, int | None]]:
    """Path, case and number of channels in the file; several files of an image have one channel each."""
    for path in paths_of(item):
        alone = path == item.get("image") or [path] == item.get("image")
        yield path, item["case"], channels if alone else None


def _current(path: str) -> FileIdentity | None:
    """The identity of a file that has not changed since it was noted."""
    real = os.path.realpath(path)
    found = _known.get(real)
    return found if found is not None and found[1:] == _stamp(real) else None


def _store(path: str, values: np.ndarray) -> None:
    real = os.path.realpath(path)
    _known[real] = FileIdentity(content_hash(values), *_stamp(real))


def _stamp(path: str) -> tuple[int, int]:
    """Size and time of the last change of a file, or of all files of a series; zeros where there is none."""
    place = Path(path)
    try:
        files = [each for each in place.iterdir() if each.is_file()] if place.is_dir() else [place]
        stats = [each.stat() for each in files]
    except OSError:
        return 0, 0
    return sum(each.st_size for each in stats), max((each.st_mtime_ns for each in stats), default=0)

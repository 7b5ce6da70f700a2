"""The record of a run's split: its cases by section, and the identity of their files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..case_keys import PATH_KEYS
from ..errors import DataError, some
from .datalist import POOLS, SPLITS, Item, absolute, load_datalist, relative, write_datalist
from .identity import FileIdentity, paths_of

DATALIST_NAME = "datalist.json"
FILES = "files"
"""Top-level key of a run's datalist: the identity of its files by path."""
KINDS = {"sha256": str, "size": int, "mtime_ns": int}
"""Of the identity of a file."""


@dataclass(frozen=True)
class SplitRecord:
    """A split as a run keeps it.

    Attributes:
        lists: cases by section, with absolute paths.
        files: identities of images and labels by absolute path; empty for runs of versions without them.
        about: seed, data folder and whatever else is in the file.
    """

    lists: Mapping[str, list[Item]]
    files: Mapping[str, FileIdentity]
    about: Mapping[str, Any]

    @property
    def root(self) -> str:
        """The folder or datalist of the data."""
        return str(self.about.get("root", "unknown"))

    @classmethod
    def read(cls, path: Path) -> SplitRecord:
        """Read the datalist of a run, whose files need not exist any more.

        Raises:
            DataError: for another file than a datalist, or identities that are not as written.
        """
        lists = load_datalist(path, must_exist=False)
        about = json.loads(path.read_text(encoding="utf-8"))
        noted = about.get(FILES, {})
        for each in noted.values() if isinstance(noted, dict) else [noted]:
            kinds = {name: type(value) for name, value in each.items()} if isinstance(each, dict) else None
            if kinds != KINDS:
                fault = f"{path} has {f'{each!r}'[:80]} in its {FILES}, not sha256, size and mtime_ns"
                raise DataError(fault, f"remove the key {FILES}, or train again")
        files = {absolute(name, path.parent): FileIdentity(**each) for name, each in noted.items()}
        return cls(lists, files, {key: about[key] for key in about if key not in (FILES, *SPLITS, *POOLS)})

    def write(self, path: Path) -> None:
        """Write the datalist of a run.

        Raises:
            OutputError: for a path that cannot be written.
        """
        filled = {section: items for section, items in self.lists.items() if items}
        files = {relative(name, path.absolute().parent): each._asdict() for name, each in self.files.items()}
        write_datalist(filled, path, **self.about, **{FILES: files})


class Cases(dict[str, list[Item]]):
    """Cases of a command by section; ``record`` is the split that a new run is to keep, None where it keeps none."""

    def __init__(self, lists: Mapping[str, list[Item]], record: SplitRecord | None = None) -> None:
        super().__init__(lists)
        self.record = record


def require_files(items: Sequence[Item], run_dir: str) -> None:
    """Refuse a split whose files are gone.

    Raises:
        DataError: with the number of these files.
    """
    if gone := [path for item in items for path in paths_of(item, PATH_KEYS) if not Path(path).exists()]:
        fault = f"{len(gone)} files of the split of {run_dir} are gone ({some(gone)})"
        raise DataError(fault, "pass --dataset_dir with where the data are now")


def write_split(cases: Mapping[str, Any] | None, folder: Path) -> None:
    """Write the split of a new run into its folder, which must be locked; nothing for cases without a record.

    Raises:
        OutputError: for a folder that cannot be written.
    """
    if isinstance(cases, Cases) and cases.record is not None:
        cases.record.write(folder / DATALIST_NAME)


def move_split(folder: Path, new: Path) -> None:
    """Move the datalist of an earlier run, whose relative paths begin at its folder; nothing without one."""
    path = folder / DATALIST_NAME
    if path.is_file():
        try:
            SplitRecord.read(path).write(new / DATALIST_NAME)
        except DataError:  # of the user's own making: kept as it is
            path.replace(new / DATALIST_NAME)
        path.unlink(missing_ok=True)

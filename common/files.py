"""Atomic writing of files and folders: they appear under their name only when complete."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import OutputError

TEMPORARY_PREFIX = ".unfinished-"


def bundle_root_of(package_file: str) -> Callable[[], str]:
    """The function ``bundle_root`` of a bundle, which returns its folder independent of the working directory.

    Args:
        package_file: ``__file__`` of the package in the folder of the bundle.
    """
    return lambda: str(Path(package_file).resolve().parents[1])


def write_whole(path: Path, write: Callable[[str], Any]) -> None:
    """Write a file atomically: ``write`` fills a temporary file, which is renamed to ``path`` when it is on disk.

    Raises:
        OutputError: for a folder that cannot be written, or a full disk.
    """
    # not by tempfile, whose files only their owner may read
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{''.join(path.suffixes[-2:])}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(str(temporary))
            _to_disk(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` atomically; an existing file is replaced.

    Raises:
        OutputError: for a folder that cannot be created or written.
    """
    write_whole(path, lambda name: Path(name).write_text(text, encoding="utf-8", newline=""))


def write_whole_folder(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a folder atomically: ``write`` fills a temporary folder, which replaces ``path`` when it is complete.

    Raises:
        OutputError: for a folder that cannot be written, or a full disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
        try:
            made = temporary / "made"  # an existing folder is moved away first, since a rename cannot replace a folder
            made.mkdir()
            write(made)
            _put(made, path, temporary / "replaced")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of a killed process; no other process may be writing in the folder."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(made: Path, path: Path, aside: Path) -> None:
    """Replace a folder by another; the old one is restored on failure."""
    if not path.exists():
        made.rename(path)
        return
    path.rename(aside)
    try:
        made.rename(path)
    except BaseException:
        aside.rename(path)
        raise


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error for an output that the operating system refuses to write."""
    remedy = "free space or choose another output_dir"
    return OutputError(str(path), "can be written", error.strerror or error, remedy)

"""Atomic writing: files and folders that appear under their name when they are whole, or not at all."""

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
    """The function ``bundle_root`` of a bundle: finds its folder wherever the command was started.

    Args:
        package_file: ``__file__`` of the package inside the bundle's folder.
    """
    return lambda: str(Path(package_file).resolve().parents[1])


def write_whole(path: Path, write: Callable[[str], Any]) -> None:
    """Let ``write`` fill a temporary file that becomes ``path`` when it is whole and on disk.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """
    # a name of its own rather than one of tempfile's, which makes files that their owner alone may read
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
    """Write ``text`` as UTF-8 to ``path``, replacing what was there in one step.

    Raises:
        OutputError: the folder cannot be made or written to.
    """
    write_whole(path, lambda name: Path(name).write_text(text, encoding="utf-8", newline=""))


def write_whole_folder(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary folder that becomes ``path`` when it is whole, in place of what stood there.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
        try:
            made = temporary / "made"  # what is replaced steps aside beside it: a folder is not renamed over another
            made.mkdir()
            write(made)
            _put(made, path, temporary / "replaced")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half written; nobody else may be writing there."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(made: Path, path: Path, aside: Path) -> None:
    """Rename one folder to another's name; that one comes back where it fails."""
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
    """The error of an output that the system refuses to write."""
    remedy = "free space or choose another output_dir"
    return OutputError(str(path), "can be written", error.strerror or error, remedy)

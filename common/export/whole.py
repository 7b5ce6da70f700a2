"""Files and folders that appear under their name when they are whole, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.checkpoints import TEMPORARY_PREFIX
from common.errors import OutputError


def write_whole(path: Path, write: Callable[[str], Any]) -> None:
    """Let ``write`` fill a temporary file that becomes ``path`` when it is whole.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """
    suffix = "".join(path.suffixes[-2:])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=suffix, dir=path.parent)
        os.close(handle)
        try:
            write(name)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error


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
        raise _cannot_write(path, error) from error


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


def _cannot_write(path: Path, error: OSError) -> OutputError:
    remedy = "free space or choose another output_dir"
    return OutputError(str(path), "can be written", error.strerror or error, remedy)

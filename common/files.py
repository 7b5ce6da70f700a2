"""Names of outputs, writing of files and folders that appear only when complete, cells of CSV, and JSON of others."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import ConfigError, DataError, OutputError, UserError

TEMPORARY_PREFIX = ".unfinished-"
LONGEST_NAME = 231
"""Length of the longest name of an output in bytes: file systems allow 255, and a temporary name needs 24 of them."""
MOST_SETTINGS, DEEPEST = 10_000, 50
"""Limits of a config file; the largest of the bundles has 312 values, 5 deep."""
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""What a cell begins with that a spreadsheet computes, perhaps behind quotes that are the user's own."""
NO_PART_OF_A_NAME = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Separators of paths, control characters and lone surrogates."""

NOT_HERE = "a link to content that is not here"
GET_CONTENT = "get its content, as by git annex get or git lfs pull"
POINTERS = (b"/annex/objects/", b"version https://git-lfs")
"""Beginnings of the small files by which git-annex and Git LFS stand for content that was not fetched."""


def file_hash(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def is_broken_link(path: Path) -> bool:
    """Whether a path is a symbolic link whose target is not there, as of git-annex where content was not fetched."""
    return path.is_symlink() and not path.exists()


def is_not_here(path: Path) -> bool:
    """Whether a file is a broken link, or stands for content that was not fetched."""
    if not path.is_file():
        return is_broken_link(path)
    with path.open("rb") as file:
        return file.read(64).startswith(POINTERS)


def require_file_name(name: str, what: str, ending: str = "", error: type[UserError] = DataError) -> None:
    """Refuse the name of a case or class that cannot begin the names of files, or would lead out of their folder.

    Args:
        name: given by the user.
        what: kind of name, for the message, such as ``case``.
        ending: the longest that a file name adds to it.
        error: to raise.

    Raises:
        UserError: of the class ``error``.
    """
    if name in ("", ".", "..") or NO_PART_OF_A_NAME.search(name):
        remedy = "give a name without / or \\ and control characters, not empty and not . or .."
        raise error(f"{what} {name!r} cannot name a file", remedy)
    if (length := len(f"{name}{ending}".encode())) > LONGEST_NAME:
        raise error(f"{what} {name[:20]!r}... gives a file name of {length} bytes, over {LONGEST_NAME}", "shorten it")


def as_cell(value: Any) -> Any:
    """A value for a cell of CSV: a text that a spreadsheet would compute has a quote before it, numbers have none."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) and not _is_number(value) else value


def text_of_cell(cell: str) -> str:
    """The text of a cell that :func:`as_cell` made."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read_rows(path: Path, separator: str = ",") -> list[dict[str, str]]:
    """The rows of a table of a user, by the names in its first line; a byte order mark of UTF-8 is passed over.

    Raises:
        DataError: it is in another encoding, as spreadsheets write it, or no text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return list(csv.DictReader(stream, delimiter=separator))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not text in UTF-8", "save it as CSV in UTF-8") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parse_json(text: str) -> Any:
    """The content of a JSON text from an unknown writer.

    Raises:
        ValueError: it is not JSON, or nested more deeply than Python's parser goes.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def require_bounded(content: Any, name: str) -> None:
    """Refuse settings that aliases of YAML make endless, or larger than any configuration, before they are followed.

    Raises:
        ConfigError: with the limit.
    """
    left, deepest = MOST_SETTINGS, 0
    waiting = [(content, 1)]
    while waiting and left and deepest <= DEEPEST:
        value, depth = waiting.pop()
        left, deepest = left - 1, max(deepest, depth)
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(part, depth + 1) for part in parts]
    if waiting or deepest > DEEPEST:
        fault = f"{name} has over {MOST_SETTINGS} settings or {DEEPEST} levels, aliases written out"
        raise ConfigError(fault, "write it without aliases (*name)")


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
            to_disk(temporary)
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


def require_new_files(folder: Path) -> None:
    """Refuse a folder in which no file can be made, before a long computation whose result it would receive.

    Raises:
        OutputError: for a folder that cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # by a file, since permissions alone do not show read-only file systems and quotas
        tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY_PREFIX).close()
    except OSError as error:
        raise cannot_write(folder, error) from error


def write_whole_folder(path: Path, write: Callable[[Path], Any], is_own: Callable[[Path], bool]) -> None:
    """Write a folder atomically: ``write`` fills a temporary folder, which replaces ``path`` when it is complete.

    Args:
        path: of the folder.
        write: fills it.
        is_own: whether this project wrote everything in an existing folder, which is then replaced.

    Raises:
        OutputError: for a folder that cannot be written, a full disk, or as :func:`require_own_folder`.
    """
    require_own_folder(path, is_own)
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


def require_own_folder(path: Path, is_own: Callable[[Path], bool]) -> None:
    """Refuse to replace anything but an empty folder, or one for which ``is_own`` holds; links are not followed.

    Raises:
        OutputError: for files of others, or a folder that cannot be read.
    """
    if not os.path.lexists(path):
        return
    try:
        own = path.is_dir() and not path.is_symlink() and (not any(path.iterdir()) or is_own(path))
    except OSError as error:
        raise cannot_write(path, error) from error
    if not own:
        foreign = "holds files that this project did not write" if path.is_dir() else "is a file"
        fault = f"{path} {'is a link' if path.is_symlink() else foreign}"
        raise OutputError(fault, "move it away or choose another folder")


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of a killed process; no other process may be writing in the folder."""
    remove(*folder.glob(f"{TEMPORARY_PREFIX}*"))


def remove(*paths: Path) -> None:
    """Remove files, folders with their content, and links but not their targets; missing ones are skipped."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk; Windows has no such folders."""
    if os.name == "nt" and path.is_dir():
        return
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
    return OutputError(f"cannot write {path} ({error.strerror or error})", "free space or choose another folder")

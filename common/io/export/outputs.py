"""Checks of the outputs of a run before anything is computed: distinct, no inputs of the run, nothing of others."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ...files import parse_json
from .verdicts import QUALITY

MANIFEST_NAME = "manifest.json"
MANIFEST_KEYS = {
    "case",
    "status",
    "file",
    "reason",
    "samples",
    "warnings",
    "weights_trained_on",
    "uncertainty",
    QUALITY,
}
KEPT, REFUSED = "kept", "refused"
"""Status of a case that an earlier run wrote, and of one without a volume by its verdict."""
OTHER_FOLDER = "choose another folder for the results"


def require_distinct(outputs: Iterable[Path]) -> None:
    """Refuse outputs in one folder that are the same file where case or Unicode normalisation do not count.

    Raises:
        OutputError: naming two outputs.
    """
    seen: dict[str, Path] = {}
    for output in outputs:
        decomposed = unicodedata.normalize("NFD", output.name)
        other = seen.setdefault(unicodedata.normalize("NFD", decomposed.casefold()), output)
        if other is not output:
            fault = f"{output} and {other.name!r} are one file where upper and lower case do not differ"
            raise OutputError(fault, "rename one of the cases or classes")


def require_apart(outputs: Sequence[Path], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are an input of the run, hold one, or lie in an input that is a folder.

    Links are followed, in a folder of slices too. What exists is also compared by its identity, which hard links share.

    Raises:
        OutputError: naming an output and an input.
    """
    by_mark = {mark: output for output in outputs for mark in _marks(output)}
    folders = {_resolved(output.parent) for output in outputs}
    holding = {mark for folder in folders for each in (folder, *folder.parents) for mark in _marks(each)}

    @cache  # thousands of inputs share few folders
    def replaced(place: Path) -> Path | None:
        """The output that a path is, or lies in."""
        own = next((by_mark[mark] for mark in _marks(place) if mark in by_mark), None)
        return own or (None if place == place.parent else replaced(place.parent))

    for source in inputs:
        if any(mark in holding for mark in _marks(source)):
            raise OutputError(f"{outputs[0].parent} lies in {source}, an input of the same run", OTHER_FOLDER)
        for each in (source, *_links_in(source)):
            if output := replaced(Path(os.path.abspath(each))) or replaced(_resolved(each)):
                raise OutputError(f"{output} would replace {source}, an input of the same run", OTHER_FOLDER)


def require_new(path: Path, may_replace: bool) -> None:
    """Refuse an output that exists, even as a broken link.

    Args:
        path: of the output.
        may_replace: whether the user allows to replace it.

    Raises:
        OutputError: with the option that allows it.
    """
    if os.path.lexists(path) and not may_replace:
        raise OutputError(f"{path} already exists", f"pass --overwrite true or {OTHER_FOLDER}")


def require_file(path: Path) -> None:
    """Refuse to replace a folder by a file; of a link, only the link itself is replaced.

    Raises:
        OutputError: for a folder.
    """
    if path.is_dir() and not path.is_symlink():
        raise OutputError(f"{path} is a folder, and a file is to be written there", f"move it away or {OTHER_FOLDER}")


def require_own_manifest(folder: Path, overwrite: bool) -> None:
    """Refuse to replace a ``manifest.json`` that no inference of this project wrote.

    Raises:
        OutputError: for a foreign file without ``overwrite``, or a folder.
    """
    path = folder / MANIFEST_NAME
    require_file(path)
    if os.path.lexists(path) and not overwrite and not _is_manifest(path):
        fault = f"{path} is not the manifest of an earlier run"
        raise OutputError(fault, f"pass --overwrite true or {OTHER_FOLDER}")


def require_free(files: Sequence[Path], folder: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Refuse files and a manifest in a folder that must not be written, before anything is computed.

    Raises:
        OutputError: see :func:`require_apart`, :func:`require_new`, :func:`require_file` and
            :func:`require_own_manifest`.
    """
    require_apart([*files, folder / MANIFEST_NAME], inputs)
    for path in files:
        require_new(path, overwrite)
        require_file(path)
    require_own_manifest(folder, overwrite)


def _is_manifest(path: Path) -> bool:
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(entries, list) and all(
        isinstance(each, dict) and each.keys() <= MANIFEST_KEYS for each in entries
    )


def written_about(sidecar: Path) -> dict[str, Any]:
    """The record of an earlier run; empty for a file of others."""
    try:
        record = parse_json(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _marks(path: Path) -> Iterator[Path | tuple[int, int]]:
    """The path with links followed in its folder alone and in itself, and the identity of what exists."""
    yield _resolved(path.parent) / path.name
    yield _resolved(path)
    with suppress(OSError):
        status = path.stat()
        yield status.st_dev, status.st_ino


def _links_in(folder: Path) -> Iterator[Path]:
    """The links directly in a folder: slices of a series may lie elsewhere."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (Path(entry) for entry in entries if entry.is_symlink())


def _resolved(path: Path) -> Path:
    """The path without links; unchanged where these form a loop, so that only this case fails."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop, which Python 3.13 returns; a NUL
        return path.absolute()

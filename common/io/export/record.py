"""Provenance of a volume, by which a resumed inference recognises its own: hashes of source, settings and output."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from ...files import file_hash
from ...path_names import is_path

WITHOUT_EFFECT = ("bundle_root", "dataloader", "device", "max_memory_gb", "overwrite", "phantoms", "report", "resume")
"""Settings, at any depth, that say where and how a volume is computed; those that are paths say where files lie."""


class Provenance:
    """What the volumes of a run are made from.

    Args:
        bundle: name and version.

    Attributes:
        sources: the files of each case, by its name.
    """

    def __init__(self, bundle: str) -> None:
        self.sources: dict[str, list[str]] = {}
        self._read: dict[str, str] = {}
        self._bundle = bundle
        self._settings = settings_hash({})

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Record the configuration of the run."""
        self._settings = settings_hash({**settings, "bundle": self._bundle})

    def note_source(self, item: Mapping[str, Any]) -> None:
        """Hash the source of a case before it is read: one that is replaced afterwards was not used."""
        case = str(item["case"])
        self._read[case] = content_of(self.sources.get(case, ()))

    def of(self, case: str, outputs: Iterable[Path]) -> dict[str, str]:
        """Hashes of source, settings and written outputs; of a series, of its slices."""
        written = [file for output in outputs for file in sorted(output.glob("*.dcm")) or [output]]
        return {**self.sources_of(case), "OutputSha256": content_of(written)}

    def only(self, case: str) -> Provenance:
        """That of one case alone, which this one forgets."""
        other = copy.copy(self)
        other.sources, other._read = {case: self.sources[case]}, {}
        if case in self._read:
            other._read[case] = self._read.pop(case)
        return other

    def sources_of(self, case: str) -> dict[str, str]:
        """Hashes of source and settings, without those of outputs."""
        return {
            "SourceSha256": self._read.get(case) or content_of(self.sources.get(case, ())),
            "SettingsSha256": self._settings,
        }

    def changed(self, recorded: Any, case: str, outputs: Iterable[Path]) -> str:
        """What differs from the hashes that an earlier run recorded, in words; empty where nothing does."""
        if not isinstance(recorded, dict):
            return "its JSON file does not record what it was made from"
        names = [name for name, value in self.of(case, outputs).items() if recorded.get(name) != value]
        return f"changed since: {', '.join(names).replace('Sha256', '').lower()}" if names else ""


def content_of(paths: Iterable[str | Path]) -> str:
    """SHA-256 of the content of files, in their order, and of all files of folders with their names below these.

    A file that is not there counts as one without a hash.
    """
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            own = file_hash(file) if file.is_file() else ""
            digest.update(os.fsencode(file.relative_to(path)) + f"\0{own}\n".encode())
    return digest.hexdigest()


def settings_hash(settings: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration without paths and without what has no effect on a volume."""
    text = json.dumps(_with_effect(settings), sort_keys=True, default=_as_text)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _as_text(value: Any) -> str:
    """A value that JSON does not have: a path, or an object of a program, which has another address in each run."""
    return str(value) if isinstance(value, PurePath) else type(value).__qualname__


def _with_effect(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): part for key, part in value.items() if key not in WITHOUT_EFFECT and not is_path(str(key))}
        return {key: _with_effect(part) for key, part in kept.items()}
    return [_with_effect(part) for part in value] if isinstance(value, list | tuple) else value

"""What a volume was made from, by which a resumed inference knows its own: hashes of source, settings and output."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from common.checkpoints import sha256
from common.path_names import is_path

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
        self._bundle = bundle
        self._settings = settings_hash({})

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Take down the configuration of the run."""
        self._settings = settings_hash({**settings, "bundle": self._bundle})

    def of(self, case: str, outputs: Iterable[Path]) -> dict[str, str]:
        """Hashes of source, settings and written outputs; of a series, of its slices."""
        written = [file for output in outputs for file in sorted(output.glob("*.dcm")) or [output]]
        return {
            "SourceSha256": content_of(self.sources.get(case, ())),
            "SettingsSha256": self._settings,
            "OutputSha256": content_of(written),
        }

    def changed(self, told: Any, case: str, outputs: Iterable[Path]) -> str:
        """What differs from the hashes that an earlier run told, in words; empty where nothing does."""
        if not isinstance(told, dict):
            return "its JSON file does not say what it was made from"
        names = [name for name, value in self.of(case, outputs).items() if told.get(name) != value]
        return f"changed since: {', '.join(names).replace('Sha256', '').lower()}" if names else ""


def content_of(paths: Iterable[str | Path]) -> str:
    """SHA-256 of the content of files, in their order, and of all files of folders with their names below these.

    A file that is not there counts as one without a hash.
    """
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            found = sha256(file) if file.is_file() else ""
            digest.update(os.fsencode(file.relative_to(path)) + f"\0{found}\n".encode())
    return digest.hexdigest()


def settings_hash(settings: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration without paths and without what has no effect on a volume."""
    told = json.dumps(_with_effect(settings), sort_keys=True, default=str)
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()


def _with_effect(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): part for key, part in value.items() if key not in WITHOUT_EFFECT and not is_path(str(key))}
        return {key: _with_effect(part) for key, part in kept.items()}
    return [_with_effect(part) for part in value] if isinstance(value, list | tuple) else value

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

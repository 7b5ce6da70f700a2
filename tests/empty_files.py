"""Data sets of empty files, for what looks at names alone."""

from __future__ import annotations

from pathlib import Path


def make(root: Path, *files: str) -> Path:
    """Make the files in a folder, and return that."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root

"""The repository's root and the names of its bundles."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bundle_names(root: Path = ROOT) -> list[str]:
    """Folders under ``bundles`` that can be trained, sorted."""
    return sorted(path.parents[1].name for path in root.glob("bundles/*/configs/train.yaml"))

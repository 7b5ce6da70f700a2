"""The config files of a bundle and the settings that they have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from ..raw_settings import Settings, copied


def configs_in(folder: Path) -> list[Settings]:
    """Content of every config file of a folder, without the metadata."""
    return list(files_in(folder).values())


def files_in(folder: Path) -> dict[Path, Settings]:
    """The config files of a folder with their content, without the metadata."""
    files = [path for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.json")]) if path.stem != "metadata"]
    return {path: copied(_loaded(path, path.stat().st_mtime_ns)) for path in files}


@lru_cache(maxsize=256)
def _loaded(path: Path, changed: int) -> Settings:
    """Content of a file as of a time; parsing YAML takes longer than all checks, which need it four times."""
    return dict(ConfigParser.load_config_file(path))


def whole_configs(configs: Iterable[Settings]) -> list[Settings]:
    """The configs that are complete in one file; the others are overlays."""
    return [config for config in configs if "bundle_root" in config]


def shipped_settings(configs: Iterable[Settings]) -> dict[str, list[Any]]:
    """The settings at the top of files with their values there; None where a file gives parts of one alone."""
    shipped: dict[str, list[Any]] = {}
    for config in configs:
        for key, value in config.items():
            shipped.setdefault(top(key), []).append(value if "::" not in key else None)
    return shipped


def top(key: str) -> str:
    """The part of an id that stands at the top of a config."""
    return re.split("::|#", key)[0].lstrip("+")

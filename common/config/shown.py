"""The composed configuration as YAML, each value with where it comes from where that is not the bundle's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from monai.bundle import ReferenceResolver

from ..raw_settings import Settings, lookup

SHOW = "show_config"
"""Option that prints the configuration instead of running it."""


def show(config: Settings, merged: Settings, options: Mapping[str, Any], files: Mapping[str, Settings]) -> None:
    """Print a configuration.

    Args:
        config: composed, raw.
        merged: files and options as MONAI merged them.
        options: of the command by their id.
        files: the config files of the command by their path, in their order, each as it stands.
    """
    print("\n".join(_lines(config, "", _Origins(merged, options, files))), flush=True)


class _Origins:
    """Where the values of a configuration come from."""

    def __init__(self, merged: Settings, options: Mapping[str, Any], files: Mapping[str, Settings]) -> None:
        self.merged = merged
        self.options = tuple(options)
        self.overlays = [
            (Path(path).name, tuple(ReferenceResolver.normalize_id(key.lstrip("+")) for key in content))
            for path, content in list(files.items())[1:]
        ]

    def of(self, place: str, value: Any) -> str:
        """As a comment behind the value; empty for the bundle's own."""
        if _sets(self.options, place):
            return "  # option"
        if value != lookup(self.merged, place):
            return "  # weights"
        named = [name for name, keys in self.overlays if _sets(keys, place)]
        return f"  # overlay {named[-1]}" if named else ""


def _sets(ids: tuple[str, ...], place: str) -> bool:
    return any(f"{place}::".startswith(f"{each}::") for each in ids)


def _lines(config: Any, place: str, origins: _Origins, indent: str = "") -> Iterator[str]:
    """Sections and lists of components are blocks; all else is one line."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        here = f"{place}::{key}" if place else str(key)
        name = f"{indent}{_plain(key)}:" if isinstance(config, dict) else f"{indent}-"
        is_block = isinstance(value, dict) or isinstance(value, list) and any(isinstance(part, dict) for part in value)
        if is_block and value:
            yield name
            yield from _lines(value, here, origins, f"{indent}  ")
        else:
            yield f"{name} {_plain(value)}{origins.of(here, value)}"


def _plain(value: Any) -> str:
    """A value in one line; objects that a program gave are texts."""
    known = value if isinstance(value, str | int | float | list | dict | None) else str(value)
    text: str = yaml.safe_dump(known, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip().removesuffix("...").strip()

"""Paths among the settings are names that a person or a disk gave: data, wherever they are used.

MONAI reads a text of a configuration as a reference, an expression, a macro or an id, and leaves a path object alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATHS = ("datalist", "demo_data", "label_maps", "output_file", "reconstruct", "weights")
READ_BY_MONAI = ("#", "::")
"""Separators of ids, which it replaces in any text."""


def is_path(key: str) -> bool:
    """Whether a setting is a path, by its id or name."""
    name = key.rpartition("::")[2]
    return name.endswith("_dir") or name in PATHS


def is_reference(value: Any) -> bool:
    """Whether a value is a MONAI expression or reference, which must be resolved first."""
    return isinstance(value, str) and value[:1] in ("$", "@", "%")


def as_data(name: str) -> str | Path:
    """A path as the value of a setting: itself, or a path object where MONAI would read something else in the text."""
    is_read = is_reference(name) or any(mark in name for mark in READ_BY_MONAI)
    return Path(name) if is_read else name


def texts(value: Any) -> str:
    """Every text in a configuration, a line each, without path objects."""
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)

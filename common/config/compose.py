"""Composing: the merged files and options of a command become the plain dictionary that everything is built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..path_names import is_reference
from ..raw_settings import Settings, copied, put

INSTALLED = __package__.startswith("medical_image_synthesis.")
"""Whether this is the package of the wheel, not that of a clone or of one bundle's release."""
WORDS = {"true": True, "false": False, "null": None}
"""YAML words that MONAI's command line, which parses options as Python, passes on as text."""


def compose(merged: Settings, names: Mapping[str, Any], shipped: Mapping[str, list[Any]]) -> Settings:
    """A configuration with its names as data and its words as values.

    Args:
        merged: files and options, raw; it stays as it is.
        names: of paths, by the id of their setting, see :func:`common.config.names.names_as_typed`.
        shipped: settings of the bundle's files with their values, by their id.
    """
    config: Settings = copied(merged)
    for place, name in names.items():
        put(config, place, name)
    for place, word in list(_words(config)):
        if not any(isinstance(default, str) and not is_reference(default) for default in shipped.get(place, [])):
            put(config, place, WORDS[word])
    return config


def outside_installation(config: Settings, bundle_root: str) -> Settings:
    """The configuration of an installed bundle: runs and phantoms go to the current folder, not next to the package.

    Args:
        config: composed, raw; it stays as it is.
        bundle_root: the bundle's folder, whose name that of the run gets.
    """
    own = {"output_dir": str(Path.cwd() / Path(bundle_root).name), "demo_data": "$@output_dir + '/demo_data'"}
    in_bundle = {"output_dir": "@bundle_root", "demo_data": "$@bundle_root + '/demo_data'"}
    return {**config, **{name: own[name] for name, value in in_bundle.items() if config.get(name) == value}}


def _words(config: Settings, place: str = "") -> Iterator[tuple[str, str]]:
    """Every setting whose value is one of ``WORDS``, by its id."""
    for key, value in config.items():
        here = f"{place}::{key}" if place else key
        if isinstance(value, dict):
            yield from _words(value, here)
        elif isinstance(value, str) and value in WORDS:
            yield here, value

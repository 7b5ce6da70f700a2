"""Composing: the merged files and options of a command become the plain dictionary that everything is built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..path_names import is_reference
from ..raw_settings import Settings, copied, lookup, put

INSTALLED = __package__.startswith("medical_image_synthesis.")
"""Whether this is the package of the wheel, not that of a clone or of one bundle's release."""
WORDS = {"true": True, "false": False, "null": None}
"""YAML words that MONAI's command line, which parses options as Python, passes on as text."""


def compose(merged: Settings, names: Mapping[str, Any], shipped: Mapping[str, list[Any]]) -> Settings:
    """A configuration with its names as data, its words as values, and ``t1,t2`` as the text that it was.

    MONAI's command line, which parses options as Python, makes a tuple of that text.

    Args:
        merged: files and options, raw; it stays as it is.
        names: of paths, by the id of their setting, see :func:`common.config.names.names_as_typed`.
        shipped: settings of the bundle's files with their values, by their id.
    """
    config: Settings = copied(merged)
    for place, name in names.items():
        put(config, place, name)
    for place, names_of_files in [(place, value) for place, value in _leaves(config) if isinstance(value, tuple)]:
        if _is_text(place, shipped):
            put(config, place, ",".join(map(str, names_of_files)))
    for place, word in [
        (place, value) for place, value in _leaves(config) if isinstance(value, str) and value in WORDS
    ]:
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


def _leaves(config: Settings, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting outside lists that is no section, by its id."""
    for key, value in config.items():
        here = f"{place}::{key}" if place else key
        if isinstance(value, dict):
            yield from _leaves(value, here)
        else:
            yield here, value


def _is_text(place: str, shipped: Mapping[str, list[Any]]) -> bool:
    """Whether shipped files have a text alone for a setting, or refer to one that is."""
    top, _, inner = place.partition("::")
    found = [lookup(value, inner) if inner else value for value in shipped.get(top, [])]
    found = [value for value in found if value is not None]
    if inner:
        return bool(found) and all(is_reference(value) and _is_text(value[1:], shipped) for value in found)
    return bool(found) and all(isinstance(value, str) and not is_reference(value) for value in found)

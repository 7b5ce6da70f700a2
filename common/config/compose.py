"""Composing: the merged files and options of a command become the plain dictionary that everything is built from."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from common.errors import ConfigError
from common.path_names import is_reference, texts
from common.raw_settings import Settings, copied, put, short_names

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


def _words(config: Settings, place: str = "") -> Iterator[tuple[str, str]]:
    """Every setting whose value is one of ``WORDS``, by its id."""
    for key, value in config.items():
        here = f"{place}::{key}" if place else key
        if isinstance(value, dict):
            yield from _words(value, here)
        elif isinstance(value, str) and value in WORDS:
            yield here, value


def with_short_names(config: Settings, top: Collection[str]) -> Settings:
    """A configuration in which each setting that was given at the top by its short name reaches its component.

    A component takes it by reference. A name that something refers to is a definition of the user's.

    Args:
        config: raw.
        top: names that are no short names, see :func:`common.config.files.top_settings`.

    Raises:
        ConfigError: a short name stands for several settings.
    """
    config = copied(config)
    known, text = short_names(config), texts(config)
    for key in [key for key in config if key in known and key not in top]:
        if re.search(rf"[@%]{re.escape(key)}\b", text):
            continue
        if len(places := known[key]) > 1:
            found = f"{len(places)} settings: {', '.join(f'--{place}' for place, _ in places)}"
            raise ConfigError(f"--{key}", "stands for one setting of this configuration", found, "give one in full")
        _, component = places[0]
        component[key] = f"@{key}"
    return config

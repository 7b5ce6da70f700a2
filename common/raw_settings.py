"""Raw settings: plain dictionaries as YAML and JSON hold them, looked into by the ids of MONAI, such as ``a::b::0``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monai.bundle import ConfigParser

from .path_names import is_reference, texts

Settings = dict[str, Any]


def settings_of(parser: ConfigParser) -> Settings:
    """The raw configuration of a parser without MONAI's metadata."""
    return {key: value for key, value in parser.get().items() if key != ConfigParser.meta_key}


def copied(value: Any) -> Any:
    """A copy of sections and lists; what they hold otherwise, such as objects of a program, is the same."""
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return [copied(part) for part in value] if isinstance(value, list) else value


def resolved(config: Settings, place: str) -> Any:
    """The value of one setting, built from a copy of a raw configuration; None where there is none."""
    if not is_reference(value := lookup(config, place)) and not isinstance(value, dict | list):
        return value
    return ConfigParser(copied(config)).get_parsed_content(place)


def lookup(config: Any, place: str) -> Any:
    """The raw setting with an id such as ``a::b::0``; None where there is none."""
    for part in place.split("::"):
        if isinstance(config, list | tuple) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            config = config.get(part) if isinstance(config, Mapping) else None
    return config


def put(config: Any, place: str, value: Any) -> None:
    """Set the setting with an id; sections that are missing on the way are made."""
    *above, last = place.split("::")
    for part in above:
        config = config[int(part)] if isinstance(config, list) else config.setdefault(part, {})
    config[int(last) if isinstance(config, list) else last] = value


def references(config: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """The ids of the roots and of every setting that they refer to, directly or through others."""
    found: set[str] = set()
    todo = [root for root in roots if lookup(config, root) is not None]
    while todo:
        if (name := todo.pop()) not in found:
            found.add(name)
            others = re.findall(r"[@%](\w+(?:::\w+)*)", texts(lookup(config, name)))
            todo += [other for other in others if other in config or lookup(config, other) is not None]
    return found


def followed(config: Mapping[str, Any], value: Any) -> Any:
    """The value of a setting, of the one that it refers to where it is a reference."""
    if not is_reference(value) or (named := lookup(config, value[1:])) is None:
        return None if is_reference(value) and value[1:] in config else value
    return followed(config, named)


def leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every setting of a component by its id; lists of numbers or texts are one setting."""
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = enumerate(value)
    else:
        yield place, value
    for key, part in parts:
        yield from leaves(part, f"{place}::{key}")


def parts(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """A setting and all below it, by their ids."""
    yield place, value
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from parts(part, f"{place}::{key}" if place else str(key))


def components(config: Any, place: str = "") -> Iterator[tuple[str, Settings]]:
    """Every component with its id, nested ones too."""
    for where, part in parts(config, place):
        if isinstance(part, dict) and "_target_" in part:
            yield where, part


def is_inside(place: str, sections: Iterable[str]) -> bool:
    """Whether an id is one of some, or of what lies in their sections."""
    return any(f"{place}::".startswith(f"{section}::") for section in sections)


def as_json(value: Any) -> Any:
    """The value as it is after writing and reading JSON, so that tuples equal lists."""
    return json.loads(json.dumps(value, default=str))

"""The running configuration: what a component may learn of the parser that builds it, and short names of options.

MONAI hands components no view of the whole configuration, lets an option that no file knows pass in silence, and says
nothing of which files a command was given. This module alone looks these up, on the call stack: components are built
by a method of ``ConfigParser``, commands by ``monai.bundle``'s function ``run``.

An option has a short name: ``--series UID`` stands for ``--reader::series UID`` as long as one component of the
configuration alone has a setting of that name. Programs that read configurations themselves use :func:`read_config`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from monai.bundle import ConfigItem, ConfigParser
from monai.utils import ensure_tuple

from common.errors import ConfigError

Settings = dict[str, Any]


def running_config() -> Settings:
    """The merged configuration, overrides included, of the parser that is building the caller; empty outside one."""
    parser = running_parser()
    return {} if parser is None else settings_of(parser)


def settings_of(parser: ConfigParser) -> Settings:
    """The configuration of a parser without MONAI's meta data."""
    return {key: value for key, value in parser.get().items() if key != ConfigParser.meta_key}


def change(values: Mapping[str, Any]) -> None:
    """Give settings of the running configuration other values; only before a component has taken them.

    Without a configuration, as in a program that makes components itself, nothing is changed.
    """
    parser: Any = running_parser()
    for key, value in values.items() if parser is not None else ():
        parser.config[key] = value
        parser.ref_resolver.items[key] = ConfigItem(config=value, id=key)


def read_config(files: str | Sequence[str], **options: Any) -> ConfigParser:
    """The configuration of some files with options as on the command line, of which nothing is built yet.

    Args:
        files: of which later ones overlay earlier ones.
        **options: settings by their name, ``a::b`` for one of a component, or by a short name.

    Raises:
        ConfigError: for a short name that stands for several settings.
    """
    parser = ConfigParser()
    parser.read_config(files)
    parser.update(options)
    place_options(parser)
    return parser


def place_options(parser: ConfigParser) -> None:
    """Let each setting that was given by its short name reach its component: one at the top that nothing refers to.

    Raises:
        ConfigError: for a short name that stands for several settings.
    """
    config: Any = parser.get()
    known = short_names(config)
    text = str(config)
    for key in [key for key in config if key in known and not re.search(rf"[@%]{re.escape(key)}\b", text)]:
        places = known[key]
        if len(places) > 1:
            found = f"{len(places)} settings: {', '.join(f'--{place}' for place, _ in places)}"
            raise ConfigError(f"--{key}", "stands for one setting of this configuration", found, "give one in full")
        _, component = places[0]
        component[key] = f"@{key}"


def short_names(config: Mapping[str, Any]) -> dict[str, list[tuple[str, Settings]]]:
    """The settings of components that a short name may stand for, each with its place and its component.

    Settings that are values come before those that refer to others.
    """
    found: dict[str, list[tuple[str, Settings]]] = {}
    for place, component in _components(config):
        for name in component:
            if not name.startswith("_"):
                found.setdefault(name, []).append((f"{place}::{name}", component))
    for name, places in found.items():
        values = [(place, component) for place, component in places if not is_reference(component[name])]
        found[name] = values or places
    return found


def is_reference(value: Any) -> bool:
    """Whether it is an expression or a reference of MONAI's, whose value is not known before it is resolved."""
    return isinstance(value, str) and value[:1] in ("$", "@", "%")


def running_parser() -> ConfigParser | None:
    """The outermost parser that is at work; None outside one."""
    found = None
    for frame in _frames():
        owner = frame.f_locals.get("self")
        found = owner if isinstance(owner, ConfigParser) else found
    return found


def config_files() -> tuple[str, ...]:
    """The files that the running command was given; empty where there is no command."""
    for frame in _frames():
        if frame.f_code.co_name == "run" and "config_file" in frame.f_locals:
            return ensure_tuple(frame.f_locals["config_file"])
    return ()


def _frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _components(config: Any, place: str = "") -> Iterator[tuple[str, Settings]]:
    """Every component with its id; the settings of a component that is inside another are that one's own."""
    if isinstance(config, dict):
        if "_target_" in config:
            yield place, config
        for key, value in config.items():
            if key != ConfigParser.meta_key:
                yield from _components(value, f"{place}::{key}" if place else key)
    elif isinstance(config, list):
        for number, value in enumerate(config):
            yield from _components(value, f"{place}::{number}")

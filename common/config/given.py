"""Options of a command put into its configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from ..errors import ConfigError, choose
from .checks import LISTED


def set_options(parser: ConfigParser, options: Mapping[str, Any]) -> None:
    """Set options one after the other, as MONAI's command does.

    Args:
        parser: with the content of the config files.
        options: values by id.

    Raises:
        ConfigError: an id reaches into what is not there, such as ``losses::gdl::weight`` where no loss is named gdl.
    """
    for key, value in options.items():
        try:
            parser[key] = value
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise _out_of_reach(parser.get(), key, value) from error


def _out_of_reach(config: Any, key: str, value: Any) -> ConfigError:
    """The error of an option, with the section that is missing or is none."""
    place: list[str] = []
    names = ReferenceResolver.split_id(key)
    while isinstance(config, Mapping) and len(names) > 1 and names[0] in config:
        config = config[names[0]]
        place.append(names.pop(0))
    outer = "::".join(place)
    if not isinstance(config, Mapping):
        fault = f"--{key} reaches into {outer}, which is"
        if config is None:
            return ConfigError(f"{fault} null", f"pass --{outer} {_as_yaml(names, value)}")
        if isinstance(config, list):
            return ConfigError(f"{fault} a list of {len(config)}", "count its parts from 0")
        return ConfigError(f"{fault} {config!r}", f"pass --{outer} VALUE")
    missing = "::".join([*place, names[0]])
    fault = f"--{key} reaches into {missing}, which this configuration does not have"
    if not place:
        nearest = difflib.get_close_matches(missing, config, n=1)
        return ConfigError(fault, f"did you mean {nearest[0]}?" if nearest else LISTED)
    parts = choose(sorted(name for name in config if not name.startswith("_")))
    return ConfigError(fault, f"{parts} in {outer}, or pass --{missing} {_as_yaml(names[1:], value)}")


def _as_yaml(names: Sequence[str], value: Any) -> str:
    """A setting at the end of a path of names, as an option has it: ``'{weight: 1}'``."""
    return f"'{''.join(f'{{{name}: ' for name in names)}{value}{'}' * len(names)}'"

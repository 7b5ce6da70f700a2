"""Names among the options of a command are taken as they were typed, or refused.

MONAI's command line reads every argument as Python: ``out_µ`` becomes another letter, ``res#1`` loses its end, ``007``
is a number; then its configuration reads a text as a reference, an expression, a macro or an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..path_names import as_data, is_path

TEXTS = ("variant", "suffix", "series")
"""Options that name a folder, the end of a file, or a series."""


def names_as_typed(given: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, str | Path]:
    """The paths among options that MONAI has changed, or would read as something else, as data.

    Args:
        given: options of a command as MONAI read them, by their id.
        typed: the same as they were typed; of a program nothing is, and its own texts count.

    Raises:
        ConfigError: for another name that MONAI would read as something else.
    """
    names: dict[str, str | Path] = {}
    for key, value in given.items():
        name = typed.get(key, value)
        if not isinstance(name, str) or name in ("", "null") or not is_name(key):
            continue  # an option without a value is refused where types are checked
        data = as_data(name)
        if isinstance(data, Path) and not is_path(key):
            raise ConfigError(f"--{key} is {name}, a name with #, :: or a leading $, @ or %", "choose another one")
        if data != value or isinstance(data, Path):
            names[key] = data
    return names


def is_name(key: str) -> bool:
    """Whether an option is a path or another name, by its id."""
    return is_path(key) or key.rpartition("::")[2] in TEXTS


def refuse_none(typed: Mapping[str, str]) -> None:
    """Refuse the value None, with which MONAI's command line takes an option as not given at all.

    Raises:
        ConfigError: naming the option.
    """
    for name, value in typed.items():
        if value == "None":
            raise none_given(name)


def none_given(name: str) -> ConfigError:
    """What is wrong with an option None."""
    return ConfigError(f"--{name} is None, which MONAI ignores", "write null, or omit it")

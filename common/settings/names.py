"""Names among the options of a command are taken as they were typed, or refused.

MONAI's command line reads every argument as Python: ``out_µ`` becomes another letter, ``res#1`` loses its end, ``007``
is a number; then its configuration reads a text as a reference, an expression, a macro or an id.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ReferenceResolver

from common.errors import ConfigError
from common.path_names import as_data, is_path
from common.running_config import change, given_options

OPTION = re.compile("--|-[a-zA-Z]")
"""Beginning of a word that Fire, which reads MONAI's command line, takes as the name of an option."""
TEXTS = ("variant", "suffix", "series")
"""Options that name a folder, the end of a file, or a series."""


def take_as_typed() -> None:
    """Give the paths among the options of the running command their names as typed; of a program, as it gave them.

    Raises:
        ConfigError: for another name that MONAI would read as something else.
    """
    given, typed = given_options(), typed_options()
    names: dict[str, str | Path] = {}
    for key, value in given.items():
        name = typed.get(key, value)
        if not isinstance(name, str) or name in ("", "null") or not is_name(key):
            continue  # an option without a value is refused where types are checked
        data = as_data(name)
        if isinstance(data, Path) and not is_path(key):
            raise ConfigError(f"--{key}", "is a name without #, :: and a leading $, @ or %", name, "choose another one")
        if data != value or isinstance(data, Path):
            names[key] = data
    change(names)


def is_name(key: str) -> bool:
    """Whether an option is a path or another name, by its id."""
    return is_path(key) or key.rpartition("::")[2] in TEXTS


def refuse_none() -> None:
    """Refuse the value None, with which MONAI's command line takes an option as not given at all.

    Raises:
        ConfigError: naming the option.
    """
    for name, value in typed_options().items():
        if value == "None":
            raise none_given(name)


def none_given(name: str) -> ConfigError:
    """What is wrong with an option None."""
    return ConfigError(f"--{name}", "is not None, which MONAI takes as not given", "None", "write null, or omit it")


def typed_options() -> Mapping[str, Any]:
    """Options of the running command as they were typed, by their id; empty for a program that uses the bundle."""
    if not is_command():
        return {}
    found, words = {}, sys.argv[1:]
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        name, has_value, value = word.partition("=")
        if OPTION.match(word) and (has_value or not OPTION.match(following)):
            key = ReferenceResolver.normalize_id(name.lstrip("-").replace("-", "_"))
            found[key] = value if has_value else following
    return found


def is_command() -> bool:
    """Whether this process is ``python -m monai.bundle ...`` rather than a program that uses the bundle."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name.startswith("monai.bundle")

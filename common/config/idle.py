"""Options of a command that have no effect: none of its files has them, or the settings of the weights replace them."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from ..errors import ConfigError
from ..path_names import texts
from ..raw_settings import Settings, lookup
from ..weights.info import WEIGHTS
from .checks import TRACKING
from .files import files_in, shipped_settings, top


def refuse_idle(config: Settings, given: Collection[str], known: Collection[str], configs: Path) -> None:
    """Refuse an option that nothing known has and nothing refers to, which would have no effect.

    Args:
        config: merged and raw.
        given: ids of options of the command.
        known: settings of the command's files, and of the weights in use.
        configs: folder of the bundle's config files; another one there may have the option.

    Raises:
        ConfigError: naming the option, and the file or overlay that has it.
    """
    text = texts(config)
    for key in given:
        name = top(key)
        if name in known or name in TRACKING or name not in config or _names(text, name):
            continue
        having = {path: each for path, each in files_in(configs).items() if name in shipped_settings([each])}
        if others := [path.name for path, each in having.items() if "run" in each]:
            fault = f"--{key} has no effect here, it is a setting of {' and '.join(others)}"
            starts = name == WEIGHTS and "pretrained" in config
            raise ConfigError(fault, "use --pretrained true to start from weights" if starts else "omit it")
        overlays = [path.stem for path in having]
        fault = f"--{key} needs --overlay {' or '.join(overlays)}"
        raise ConfigError(fault, f"pass it, or add {overlays[0]}.yaml to --config_file")


def refuse_lost(before: Settings, config: Settings, given: Collection[str]) -> None:
    """Refuse an option that something referred to until the settings of the weights took its place.

    Args:
        before: merged and raw, without the settings of the weights.
        config: the same with them.
        given: ids of options of the command.

    Raises:
        ConfigError: naming the option.
    """
    earlier, text = texts(before), texts(config)
    for key in given:
        unnamed = _names(earlier, top(key)) and not _names(text, top(key))
        if unnamed or "::" in key and lookup(config, key) != lookup(before, key):
            fault = f"--{key} has no effect on the network of the weights in use"
            raise ConfigError(fault, "omit it, or name weights that it fits by --weights or --output_dir")


def _names(text: str, name: str) -> bool:
    """Whether raw settings refer to a setting."""
    return re.search(rf"[@%]{re.escape(name)}\b", text) is not None

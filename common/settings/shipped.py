"""Settings that the config files of a bundle have, and options of a command that none of its files has."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.path_names import texts
from common.running_config import Settings, files_in, given_options, short_names, top_settings
from common.settings.checks import TRACKING


def shipped_settings(configs: list[Settings]) -> dict[str, list[Any]]:
    """The settings of the shipped files with their values: those of the top level, and those with a short name."""
    shipped: dict[str, list[Any]] = {}
    for config in configs:
        for key, value in config.items():
            shipped.setdefault(top(key), []).append(value if "::" not in key else None)
    whole = top_settings(configs)
    for config in configs:
        for name, places in short_names(config).items():
            if name not in whole:
                shipped.setdefault(name, []).extend(component[name] for _, component in places)
    return shipped


def top(key: str) -> str:
    """The part of an id that stands at the top of a config."""
    return re.split("::|#", key)[0].lstrip("+")


def refuse_idle(config: Settings, known: Collection[str], configs: Path) -> None:
    """Refuse an option that nothing known has and nothing refers to, which would have no effect.

    Args:
        config: merged and raw, with short names in their places.
        known: settings of the command's files, and of the weights in use.
        configs: folder of the bundle's config files, one of which may have the option.

    Raises:
        ConfigError: naming the option, and the files that have it.
    """
    text = texts(config)
    for key, value in given_options().items():
        name = top(key)
        if name in known or name in TRACKING or name not in config or re.search(rf"[@%]{re.escape(name)}\b", text):
            continue
        having = [path.name for path, each in files_in(configs).items() if name in shipped_settings([each])]
        remedy = f"leave it out, or add to --config_file what has it: {', '.join(having)}"
        raise ConfigError(f"--{key}", "is a setting of the config files of this command", repr(value), remedy)

"""Options of a command that none of its files has."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..path_names import texts
from ..raw_settings import Settings
from .checks import TRACKING
from .files import files_in, shipped_settings, top


def refuse_idle(config: Settings, given: Mapping[str, Any], known: Collection[str], configs: Path) -> None:
    """Refuse an option that nothing known has and nothing refers to, which would have no effect.

    Args:
        config: merged and raw.
        given: options of the command by their id.
        known: settings of the command's files, and of the weights in use.
        configs: folder of the bundle's config files; another one there may have the option.

    Raises:
        ConfigError: naming the option, and the files that have it.
    """
    text = texts(config)
    for key, value in given.items():
        name = top(key)
        if name in known or name in TRACKING or name not in config or re.search(rf"[@%]{re.escape(name)}\b", text):
            continue
        having = [path.name for path, each in files_in(configs).items() if name in shipped_settings([each])]
        remedy = f"omit it, or add to --config_file what has it: {', '.join(having)}"
        raise ConfigError(f"--{key} is no setting of this command's config files (value {value!r})", remedy)

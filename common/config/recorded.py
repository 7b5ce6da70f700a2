"""Check of the settings that weights come with: those of a training, whole and of the types that settings have."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ..errors import CheckpointError, ConfigError
from ..raw_settings import Settings
from ..weights.info import READER, WeightsInfo
from .checks import check_type
from .components import NotLocatedError
from .files import whole_configs
from .tree import check_tree

NEEDED = ("network_def", "preprocessing")
"""Components that every training records where its bundle has them."""


def require_recorded(about: WeightsInfo, shipped: Sequence[Settings]) -> None:
    """Refuse settings that no training recorded, such as those of a file that was edited or cut short.

    Args:
        about: what is known of the weights.
        shipped: the config files of the bundle, raw.

    Raises:
        CheckpointError: a setting is missing that another one refers to, is unknown, or has another type.
        NotLocatedError: a component cannot be imported, such as a network of the user's own.
    """
    recorded = {name: value for name, value in about.settings.items() if name != "inferer"}
    known = {name for config in whole_configs(shipped) for name in config}
    named = re.findall(r"[@%](\w+)", json.dumps(about.settings, default=str))
    missing = [name for name in (*NEEDED, *named) if name in known and name not in (*recorded, READER)]
    sections = {name: value for name, value in recorded.items() if isinstance(value, dict) and "_target_" not in value}
    parts = re.findall(r"@(\w+)::(\w+)", json.dumps([*whole_configs(shipped)], default=str))
    missing += [f"{name}::{part}" for name, part in parts if part not in sections.get(name, {part})]
    if missing:
        _refuse(f"the settings of {about.path} lack {missing[0]}")
    tree = recorded | ({"validate": {"inferer": about.settings["inferer"]}} if "inferer" in about.settings else {})
    try:
        for name, value in recorded.items():
            check_type(name, value, [config[name] for config in shipped if name in config])
        check_tree(tree, shipped, {})
    except NotLocatedError:
        raise
    except ConfigError as error:
        _refuse(f"the settings of {about.path} are not those of a training ({error})")


def _refuse(fault: str) -> None:
    raise CheckpointError(fault, "restore their JSON file, or train again")

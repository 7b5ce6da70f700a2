"""The settings of a run: what is checked before anything costs time, and how a user's mistake ends the command."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigItem, ConfigParser
from monai.utils import ensure_tuple

from common import devices
from common.errors import ConfigError, users_mistake
from common.setting_checks import check, is_reference

WORDS = {"true": True, "false": False, "null": None}
"""MONAI's command line reads options as Python does, and hands these on as texts."""


def prepare(bundle_root: str, seed: int) -> None:
    """First step of every command: check the settings, seed the initial weights, arrange the exit code of mistakes.

    Args:
        bundle_root: the bundle's folder; the keys of its ``configs`` are the known settings.
        seed: from which the initial weights follow.

    Raises:
        ConfigError: for a setting that is unknown, of another type than its default, or out of range.
    """
    if _is_command():
        sys.excepthook = _end_command
    _refuse_duplicates()
    shipped = _shipped_configs(Path(bundle_root, "configs"))
    _read_words(shipped)
    check(running_config(), shipped)
    if devices.rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)  # the first process speaks for all
    torch.manual_seed(seed)


def running_config() -> dict[str, Any]:
    """The merged configuration, overrides included, of the parser that is building the caller; empty outside one.

    MONAI hands components no view of the whole configuration and accepts a mistyped override in silence, so the parser
    is looked up on the call stack.
    """
    parser = _running_parser()
    config = parser.get() if parser is not None else {}
    return {key: value for key, value in config.items() if key != ConfigParser.meta_key}


def change(values: Mapping[str, Any]) -> None:
    """Give settings of the running configuration other values; only before a component has taken them.

    Without a configuration, as in a program that makes components itself, nothing is changed.
    """
    parser: Any = _running_parser()
    for key, value in values.items() if parser is not None else ():
        parser.config[key] = value
        parser.ref_resolver.items[key] = ConfigItem(config=value, id=key)


def _running_parser() -> ConfigParser | None:
    frame = inspect.currentframe()
    found = None
    while frame is not None:
        owner = frame.f_locals.get("self")
        found = owner if isinstance(owner, ConfigParser) else found
        frame = frame.f_back
    return found


def _read_words(shipped: Mapping[str, list[Any]]) -> None:
    """Take ``true``, ``false`` and ``null`` on the command line as YAML does, unless the setting is a text."""
    parser: Any = _running_parser()
    if parser is None:
        return
    for place, holder, key in list(_words(parser.config)):
        text = any(isinstance(default, str) and not is_reference(default) for default in shipped.get(place, []))
        if not text:
            holder[key] = WORDS[holder[key]]
            parser.ref_resolver.items[place].update_config(holder[key])  # no component has taken it yet


def _words(config: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every setting whose value is one of ``WORDS``: its id, and where it stands."""
    for key, value in config.items():
        here = f"{place}::{key}" if place else key
        if isinstance(value, dict) and key != ConfigParser.meta_key:
            yield from _words(value, here)
        elif isinstance(value, str) and value in WORDS:
            yield here, config, key


def _refuse_duplicates() -> None:
    """Read the command's config files again, strictly: MONAI lets the last of two equal keys win with a mere warning.

    Raises:
        ConfigError: names the file and the key.
    """
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    frame = inspect.currentframe()
    while frame is not None and not (frame.f_code.co_name == "run" and "config_file" in frame.f_locals):
        frame = frame.f_back
    for path in ensure_tuple(frame.f_locals["config_file"] if frame is not None else ()):
        try:
            ConfigParser.load_config_file(path)
        except ValueError as error:
            raise ConfigError(str(path), "names every setting once", error, "remove one of the two") from error


def _shipped_configs(folder: Path) -> dict[str, list[Any]]:
    shipped: dict[str, list[Any]] = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.json")]):
        if path.stem != "metadata":
            for key, value in ConfigParser.load_config_file(path).items():
                shipped.setdefault(re.split("::|#", key)[0].lstrip("+"), []).append(value if "::" not in key else None)
    return shipped


def _is_command() -> bool:
    """Whether this process is ``python -m monai.bundle ...`` rather than a program that uses the bundle."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec is not None and spec.name.startswith("monai.bundle")


def _end_command(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a mistake of the user as one line and leave with its exit code; anything else as Python would."""
    cause = users_mistake(error)
    if cause is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stdout.flush()
    print(f"\nerror: {cause}", file=sys.stderr, flush=True)  # a progress bar may stand unfinished on the line
    raise SystemExit(cause.exit_code)

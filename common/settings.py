"""The settings of a run: what is checked before anything costs time, and how a user's mistake ends the command."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS
from monai.utils import ensure_tuple

from common import devices
from common.errors import ConfigError, UserError

POSITIVE = (
    *("max_epochs", "val_interval", "batch_size", "accumulation_steps", "learning_rate"),
    *("inference_batch", "depth", "width", "pad_size", "crop_size", "neighbours"),
)
NOT_NEGATIVE = ("constant_epochs", "decay_epochs", "num_workers", "seed", "loss_weights")
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
        text = any(isinstance(default, str) and not _is_reference(default) for default in shipped.get(place, []))
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


def check(config: Mapping[str, Any], shipped: Mapping[str, list[Any]]) -> None:
    """Compare a configuration with the shipped defaults.

    Args:
        config: top-level keys and raw values.
        shipped: every top-level key of the bundle's files, with the values it has there.

    Raises:
        ConfigError: for the first setting that is unknown, of another type than its default, or out of range.
    """
    text = str(list(config.values()))
    tracking: Any = DEFAULT_EXP_MGMT_SETTINGS["mlflow"]["configs"]
    for key, value in config.items():
        if key not in shipped and key not in tracking and not re.search(rf"[@%]{re.escape(key)}\b", text):
            nearest = difflib.get_close_matches(key, shipped, n=1)
            remedy = f"did you mean --{nearest[0]}?" if nearest else f"the settings are {', '.join(sorted(shipped))}"
            raise ConfigError(f"--{key}", "is a setting of this bundle", f"an unknown name (value {value!r})", remedy)
        _check_type(key, value, shipped.get(key, []))
        for name, number in _numbers(key, value):
            _check_range(name, number)
    _check_sizes(config)


def _check_sizes(config: Mapping[str, Any]) -> None:
    """A crop must halve as often as the network does, and fit into the padded slice."""
    crop, depth, padded = (config.get(name) for name in ("crop_size", "depth", "pad_size"))
    if isinstance(crop, int) and isinstance(depth, int) and crop % 2**depth:
        rule, remedy = f"is a multiple of {2**depth}, since depth is {depth}", "change crop_size or depth"
        raise ConfigError("--crop_size", rule, crop, remedy)
    if isinstance(crop, int) and isinstance(padded, int) and padded < crop:
        raise ConfigError("--pad_size", f"is at least crop_size, {crop}", padded, "raise it or lower crop_size")


def _check_type(key: str, value: Any, defaults: list[Any]) -> None:
    plain = [default for default in defaults if not _is_reference(default) and default is not None]
    optional = None in defaults or any(isinstance(default, list | dict) for default in plain)
    if not plain or value is None and optional or _is_reference(value):
        return
    if not any(_same_type(value, default) for default in plain):
        hint = "write 1.0e-4, not 1e-4, for a number in YAML" if isinstance(value, str) else "see train.yaml"
        rule = f"is of type {type(plain[0]).__name__}, such as {plain[0]!r}"
        raise ConfigError(f"--{key}", rule, f"{value!r} ({type(value).__name__})", hint)


def _same_type(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, list | tuple):
        return isinstance(value, list | tuple)
    return isinstance(value, type(default))


def _check_range(name: str, number: float) -> None:
    top = name.split("::")[0]
    if top in POSITIVE and not number > 0:
        raise ConfigError(f"--{name}", "is above zero", number, "give a positive number")
    if top in NOT_NEGATIVE and not number >= 0:
        raise ConfigError(f"--{name}", "is not negative", number, "give zero or a positive number")


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _numbers(f"{name}::{key}", part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in ("$", "@", "%")


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
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stdout.flush()
    print(f"\nerror: {cause}", file=sys.stderr, flush=True)  # a progress bar may stand unfinished on the line
    raise SystemExit(cause.exit_code)

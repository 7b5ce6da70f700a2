"""Start of a command: settings are checked, random numbers seeded, user errors get one line and an exit code."""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from traceback import walk_tb
from typing import Any

import torch
from monai.bundle import ConfigComponent, ConfigExpression, ConfigParser
from monai.utils.misc import MONAIEnvVars

from common import devices
from common.errors import ConfigError, of_stdout, users_mistake
from common.path_names import is_reference
from common.running_config import (
    Settings,
    config_files,
    configs_in,
    files_in,
    given_options,
    place_options,
    running_id,
    running_parser,
    settings_of,
    top_settings,
)
from common.settings.checks import check
from common.settings.components import require_located
from common.settings.names import is_command, refuse_none, take_as_typed
from common.settings.shipped import refuse_idle, shipped_settings, top
from common.settings.tree import check_references, check_tree
from common.weights_info import COMPUTING, WEIGHTS

FIRST_STEP = "@prepare"
"""Of the list of every run id, perhaps after the device."""
CIRCLE = re.compile(r"^detected circular references '(.+)' for id='(.+)' in")
WORDS = {"true": True, "false": False, "null": None}
"""YAML words that MONAI's command line, which parses options as Python, passes on as text."""


def prepare(bundle_root: str, seed: int) -> None:
    """First step of every command: check the settings, seed the initial weights, set the exit code of user errors.

    Args:
        bundle_root: the bundle's folder; the keys of its ``configs`` are the known settings.
        seed: of the initial weights.

    Raises:
        ConfigError: for a setting that is unknown, of another type than its default or out of range, or a
            reference to nothing.
    """
    if is_command():
        sys.excepthook = end_command
        logging.raiseExceptions = False  # where nobody reads stdout, each line would be a traceback on stderr
    files = _files_of_the_command()
    refuse_none()
    configs = configs_in(Path(bundle_root, "configs"))
    shipped = shipped_settings(configs)
    if (parser := running_parser()) is not None:
        take_as_typed()
        _read_words(parser, shipped)
        check(settings_of(parser), shipped)
        check_tree(settings_of(parser), configs, given_options())
        place_options(parser, top_settings(configs))
        known = {top(key) for file in files for key in file}
        if WEIGHTS in settings_of(parser):  # which may know settings that say how a volume is computed
            known.update(COMPUTING)
        refuse_idle(settings_of(parser), known, Path(bundle_root, "configs"))
        check_references(settings_of(parser), running_id())
    # handlers log what a run does, and the last line of a command says why it ended
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    if devices.rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)  # only the first process logs details
    torch.manual_seed(seed)


def require_run_id() -> None:
    """Refuse the run id of a command that none of its config files has.

    It is ``initialize`` in a configuration, which MONAI builds before it looks for the run id itself.

    Raises:
        ConfigError: with the file next to these that has it, or the nearest one.
    """
    if is_command():
        sys.excepthook = end_command
    parser, wanted, files = running_parser(), running_id(), config_files()
    if parser is None or not files or wanted in parser:
        return
    others = files_in(Path(files[0]).parent).items()
    if there := [path.name for path, config in others if wanted in _run_ids(config)]:
        raise ConfigError(f"no run id {wanted} in these config files: add {there[0]} to --config_file")
    known = sorted(_run_ids(settings_of(parser)))
    nearest = difflib.get_close_matches(wanted, known, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(known)}"
    raise ConfigError(f"unknown run id {wanted}: {remedy}")


def _run_ids(config: Settings) -> set[str]:
    return {name for name, steps in config.items() if isinstance(steps, list) and FIRST_STEP in steps}


def _read_words(parser: Any, shipped: Mapping[str, list[Any]]) -> None:
    """Convert ``true``, ``false`` and ``null`` on the command line as YAML does, unless the setting is a text."""
    for place, holder, key in list(_words(parser.config)):
        text = any(isinstance(default, str) and not is_reference(default) for default in shipped.get(place, []))
        if not text:
            holder[key] = WORDS[holder[key]]
            parser.ref_resolver.items[place].update_config(holder[key])  # before any component reads it


def _words(config: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every setting whose value is one of ``WORDS``: its id, its container and its key."""
    for key, value in config.items():
        here = f"{place}::{key}" if place else key
        if isinstance(value, dict) and key != ConfigParser.meta_key:
            yield from _words(value, here)
        elif isinstance(value, str) and value in WORDS:
            yield here, config, key


def _files_of_the_command() -> list[Settings]:
    """Content of the config files of the command without duplicate keys, of which MONAI only warns and uses the last.

    Raises:
        ConfigError: naming the file and the key.
    """
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    files = []
    for path in config_files():
        try:
            files.append(ConfigParser.load_config_file(path))
        except ValueError as error:
            raise ConfigError(str(path), "names every setting once", error, "remove one of the two") from error
    return files


def _of_a_component(error: BaseException) -> ConfigError | None:
    """What stopped a component from being built from its settings, or an expression; None for errors elsewhere."""
    found, place, last = None, "", None
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in walk_tb(cause.__traceback__):
            if isinstance(owner := frame.f_locals.get("self"), ConfigComponent | ConfigExpression):
                found, place = owner, str(owner.get_id())
            last = frame
        innermost, cause = cause, cause.__cause__
    if isinstance(innermost, ModuleNotFoundError) and isinstance(found, ConfigComponent):
        try:
            require_located(place, found.get_config(), found.locator)
        except ConfigError as unlocated:
            return unlocated
    value = f"{type(innermost).__name__}: {' '.join(str(innermost).split())[:200]}"
    remedy = "correct its settings (MONAI_DEBUG=1 shows where it failed)"
    if isinstance(found, ConfigComponent):
        return ConfigError(f"--{place}", f"are settings that {found.get_config()['_target_']} accepts", value, remedy)
    if found is not None and last is not None and last.f_code.co_filename == "<string>":  # its own text, no function
        written = re.sub(r"__local_refs\['([^']+)'\]", r"@\1", str(found.get_config()))
        return ConfigError(f"--{place}", f"is an expression, {written}", value, remedy)
    return None


def _circle(error: BaseException) -> ConfigError | None:
    """MONAI's error for settings that refer to each other."""
    if not isinstance(error, ValueError) or not (found := CIRCLE.search(str(error))):
        return None
    rule, value = "refers to settings that have a value", f"a circle through {found[1]}"
    return ConfigError(f"--{found[2]}", rule, value, "break it")


def end_command(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a user error as one line and exit with its code, that of a component while it is built as well.

    Other errors are printed as usual, and with ``MONAI_DEBUG=1`` that of a component too.
    """
    cause = users_mistake(error) or _circle(error) or of_stdout(error)
    if cause is None and not MONAIEnvVars.debug():
        cause = _of_a_component(error)
    if cause is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stdout.flush()
    print(f"\n{cause.label}{cause}", file=sys.stderr, flush=True)  # a progress bar may not have ended its line
    raise SystemExit(cause.exit_code)

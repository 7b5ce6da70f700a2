"""Start of a command: its files, options and the settings of weights become one configuration, checked, then built."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

from .. import devices
from ..errors import ConfigError, choose
from ..path_names import is_reference
from ..raw_settings import Settings, copied, put, resolved, settings_of
from ..weights.info import COMPUTING, WEIGHTS, WeightsInfo
from ..weights.module_names import with_local_targets
from .checks import check, check_references, refuse_idle, require_known
from .command import Command, as_meant, is_own_process, merged, running_command, set_options
from .files import (
    INSTALLED,
    BundleFiles,
    files_of,
    outside_installation,
    read_file,
    require_of_bundle,
    set_by,
    top,
)
from .mistakes import end_command
from .record import RECORD, RunRecord, show
from .weights import RunningBundle, require_trained, with_weights

PREPARE = "prepare"
"""The setting that every run list begins with."""
SHOW = "show_config"
"""Option that prints the configuration instead of running it."""


def prepare(bundle_root: str) -> None:
    """First step of every command: compose the configuration, check it, and let everything be built from the result.

    It also seeds the initial weights and sets the exit code of a user's mistake. In a configuration that is composed
    already, as by :func:`read_config`, only the random numbers are seeded again.

    Args:
        bundle_root: the bundle's folder; the keys of its ``configs`` are the known settings.

    Raises:
        ConfigError: for a setting that is unknown, a value of another type than its default or out of
            range, a reference to nothing, or an option that contradicts the network of the weights.
        CheckpointError: nothing is known of the weights in use, or they are not the ones that are described.
        SystemExit: with code 0 after ``--show_config true`` has printed the configuration.
    """
    if is_own_process():
        sys.excepthook = end_command
        logging.raiseExceptions = False  # where nobody reads stdout, each line would be a traceback on stderr
    command = running_command()
    if (parser := command.parser) is None:
        return
    if parser.get(RECORD) is None:
        settle(parser, command)
        start(parser, command, bundle_root)
    if "seed" in parser:
        torch.manual_seed(parser.get_parsed_content("seed"))


def require_task(record: RunRecord | None) -> None:
    """Refuse a command on a part of a configuration, such as ``train``, which MONAI builds and ends with success.

    Args:
        record: of the command, which every task makes first; None for a part.

    Raises:
        ConfigError: with the tasks.
    """
    if record is not None or not is_own_process():  # to look at the frames of a program would keep what they hold
        return
    command = running_command()
    sys.excepthook = end_command
    lists = {key: value for content in command.files.values() for key, value in content.items()}
    tasks = [key for key, value in lists.items() if isinstance(value, list) and f"%{PREPARE}" in value]
    raise ConfigError(f"{command.run_id} is no task, so nothing would run", choose(tasks))


def settle(parser: ConfigParser, command: Command) -> None:
    """What a command changes in its process: memory, threads, and what is logged."""
    devices.keep_freed_memory()
    # handlers log what a run does, and the last line of a command says why it ended
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    if command.files and "training" not in parser:  # a resumed training gives the same bits
        devices.share_cores()


def start(parser: ConfigParser, command: Command, bundle_root: str) -> None:
    """Put the configuration of a command into a parser, composed and checked; raises as :func:`prepare`."""
    config = with_local_targets(settings_of(parser))
    overlays = {path: with_local_targets(content) for path, content in command.files.items()}
    hook = sys.excepthook
    if "device" in parser:
        parser.get_parsed_content("device")  # meets the other processes
        if hook is end_command:
            sys.excepthook = hook  # PyTorch has wrapped it, and loses the line of a hook that ends the process
    if devices.rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)  # only the first process logs details
    require_of_bundle(overlays, Path(bundle_root, "configs"))
    files = files_of(Path(bundle_root, "configs"))
    config, options = _with_options(config, with_local_targets(command.options), files)
    is_shown = config.pop(SHOW, False) is True
    options.pop(SHOW, None)
    config = outside_installation(config, bundle_root) if INSTALLED else config
    check(config, files, options)
    set_in_files = {top(key) for content in overlays.values() for key in content}
    # weights may know settings that say how a volume is computed
    refuse_idle(config, options, set_in_files | {*(COMPUTING if WEIGHTS in config else ())}, files)
    check_references(config, command.run_id, files)
    given = {*options, *set_by(overlays.values())}
    adopted, about = with_weights(config, RunningBundle(bundle_root, files, given, bool(command.files)))
    if about is not None:
        refuse_idle(adopted, options, set_in_files | about.settings.keys(), files, config)
    if is_shown:
        show({key: value for key, value in adopted.items() if key != RECORD}, config, options, overlays)
        raise SystemExit(0)
    if command.files:
        require_trained(adopted)
    _write(parser, adopted, options, about)
    if "device" in parser:
        parser.get_parsed_content("device")


def _with_options(config: Settings, options: Settings, files: BundleFiles) -> tuple[Settings, Settings]:
    """A configuration with options in it, and these; ``a,b`` is a text where the files have one, else a list."""
    config, final = copied(config), dict(options)
    for key, value in options.items():
        if isinstance(value, tuple):
            final[key] = ",".join(map(str, value)) if files.is_text(key) else list(value)
        if not is_reference(value):  # MONAI has read those: a macro is what it stands for
            put(config, key, final[key])
    return config, final


def _write(parser: ConfigParser, config: Settings, options: Settings, about: WeightsInfo | None) -> None:
    """Put a composed configuration into a parser, with the record of it."""
    meta = {key: value for key, value in parser.get().items() if key == ConfigParser.meta_key}
    own = {key: value for key, value in config.items() if key != RECORD}
    parser.set({**meta, **own, RECORD: RunRecord(own, options, about, parser)})
    parser.parse(reset=True)


def read_config(files: str | Path | Sequence[str | Path], **options: Any) -> ConfigParser:
    """Configuration of some files as a command composes it; nothing is checked or built yet.

    Args:
        files: later ones overlay earlier ones; the first lies in the folder ``configs`` of a bundle.
        **options: settings by their id, such as ``a::b``; paths are data.

    Raises:
        ConfigError: no file has the name of an option, or an option contradicts the network of the weights.
        CheckpointError: nothing is known of the weights in use, or they are not the ones that are described.
    """
    paths = [Path(path) for path in ensure_tuple(files)]
    parser = ConfigParser()
    parser.read_config(merged({str(path): read_file(path) for path in paths}))
    given = as_meant(options)
    set_options(parser, given)
    known = files_of(paths[0].parent, paths)
    config, given = _with_options(with_local_targets(settings_of(parser)), given, known)
    require_known(config, given, known)
    about = None
    if PREPARE in config:
        root = str(resolved(config, "bundle_root"))
        ids = {*given, *set_by(map(read_file, paths))}
        config, about = with_weights(config, RunningBundle(root, known, ids, is_command=False))
    _write(parser, config, given, about)
    return parser

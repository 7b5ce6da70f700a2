"""Start of a command: composed, checked, written back, built; a mistake of the user ends it with one line."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from multiprocessing.dummy import DummyProcess
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

import torch
from monai.bundle import ConfigComponent, ConfigExpression, ConfigParser, ReferenceResolver
from monai.utils import ensure_tuple
from monai.utils.misc import MONAIEnvVars

from .. import devices
from ..errors import ConfigError, UserError, of_stdout, user_error_in
from ..path_names import as_data, is_path
from ..raw_settings import Settings, resolved, settings_of
from ..weights.info import COMPUTING, WEIGHTS, WeightsInfo
from ..weights.module_names import with_local_targets
from .checks import check, require_known
from .command import Command, running_command
from .components import require_located
from .compose import INSTALLED, compose, outside_installation
from .files import configs_in, shipped_settings, top
from .given import set_options
from .idle import refuse_idle, refuse_lost
from .names import names_as_typed, refuse_none
from .record import RECORD, RunRecord
from .shown import SHOW, show
from .tree import check_references, check_tree
from .weights import RunningBundle, require_trained, with_weights

PATIENCE_S = 60.0
"""How long a thread that loads a case is waited for."""
PREPARE = "prepare"
"""The setting that every run list begins with."""
CIRCLE = re.compile(r"^detected circular references '(.+)' for id='(.+)' in")


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
    command = running_command()
    if (parser := command.parser) is None:
        return
    if parser.get(RECORD) is None:
        _start(command, parser, bundle_root)
    if "seed" in parser:
        torch.manual_seed(parser.get_parsed_content("seed"))


def _start(command: Command, parser: ConfigParser, bundle_root: str) -> None:
    if command.typed is not None:
        sys.excepthook = end_command
        logging.raiseExceptions = False  # where nobody reads stdout, each line would be a traceback on stderr
    merged = with_local_targets(settings_of(parser))
    files = with_local_targets(_files_of(command))
    refuse_none(command.typed or {})
    if "device" in parser:
        parser.get_parsed_content("device")  # meets the other processes
        if command.typed is not None:
            sys.excepthook = end_command  # PyTorch has wrapped it, and loses the line of a hook that ends the process
    # handlers log what a run does, and the last line of a command says why it ended
    logging.getLogger("ignite.engine.engine").setLevel(logging.CRITICAL)
    if devices.rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)  # only the first process logs details
    if command.files and "training" not in merged:  # a resumed training gives the same bits
        devices.share_cores()
    is_shown = merged.pop(SHOW, False) in (True, "true")
    options = with_local_targets({key: value for key, value in command.options.items() if key != SHOW})
    config, about = _composed(merged, options, command, files, bundle_root)
    if is_shown:
        overlays = dict(zip(map(str, command.files), files, strict=True))
        show({key: value for key, value in config.items() if key != RECORD}, merged, options, overlays)
        sys.stdout.flush()
        raise SystemExit(0)
    if command.files:
        require_trained(config)
    _write(parser, config, options, about)
    if "device" in parser:
        parser.get_parsed_content("device")


def _composed(
    merged: Settings, options: Settings, command: Command, files: Sequence[Settings], bundle_root: str
) -> tuple[Settings, WeightsInfo | None]:
    """The configuration of a command, checked, and what is known of the weights in use."""
    folder = Path(bundle_root, "configs")
    configs = configs_in(folder)
    shipped, tops = shipped_settings(configs), {top(key) for file in files for key in file}
    config = compose(merged, names_as_typed(options, command.typed or {}), shipped)
    config = outside_installation(config, bundle_root) if INSTALLED else config
    check(config, shipped)
    check_tree(config, configs, options)
    # weights may know settings that say how a volume is computed
    refuse_idle(config, options, tops | {*(COMPUTING if WEIGHTS in config else ())}, folder)
    check_references(config, command.run_id)
    bundle = RunningBundle(bundle_root, configs, _given(options, files), bool(command.files))
    adopted, about = with_weights(config, bundle)
    if about is not None:
        refuse_lost(config, adopted, options)
        refuse_idle(adopted, options, tops | about.settings.keys(), folder)
    return adopted, about


def _write(parser: ConfigParser, config: Settings, options: Settings, about: WeightsInfo | None) -> None:
    """Put a composed configuration into a parser, with the record of it."""
    meta = {key: value for key, value in parser.get().items() if key == ConfigParser.meta_key}
    own = {key: value for key, value in config.items() if key != RECORD}
    parser.set({**meta, **own, RECORD: RunRecord(own, options, about, parser)})
    parser.parse(reset=True)


def read_config(files: str | Path | Sequence[str | Path], **options: Any) -> ConfigParser:
    """Configuration of some files as a command composes it; nothing is checked or built yet.

    Args:
        files: later ones overlay earlier ones; the files next to them are those of the bundle.
        **options: settings by their id, such as ``a::b``; paths are data.

    Raises:
        ConfigError: no file has the name of an option, or an option contradicts the network of the weights.
        CheckpointError: nothing is known of the weights in use, or they are not the ones that are described.
    """
    paths = [Path(path) for path in ensure_tuple(files)]
    parser = ConfigParser()
    parser.read_config([str(path) for path in paths])
    read = {key: as_data(value) if is_path(key) and isinstance(value, str) else value for key, value in options.items()}
    set_options(parser, read)
    shipped = [config for folder in {path.parent for path in paths} for config in configs_in(folder)]
    config = with_local_targets(settings_of(parser))
    require_known(config, options, shipped_settings(shipped))
    about = None
    if PREPARE in config:
        root = str(resolved(config, "bundle_root"))
        given = _given(options, [ConfigParser.load_config_file(str(path)) for path in paths])
        config, about = with_weights(config, RunningBundle(root, shipped, given, is_command=False))
    _write(parser, config, options, about)
    return parser


def _given(options: Mapping[str, Any], files: Sequence[Settings]) -> Collection[str]:
    """The ids of options, and of what the overlays among files set."""
    keys = {key.lstrip("+") for overlay in files if "bundle_root" not in overlay for key in overlay}
    return {*options, *(ReferenceResolver.normalize_id(key) for key in keys)}


def _files_of(command: Command) -> list[Settings]:
    """Content of the config files of the command without duplicate keys; MONAI only warns and uses the last one.

    Raises:
        ConfigError: naming the file and the key.
    """
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    files = []
    for path in command.files:
        try:
            files.append(ConfigParser.load_config_file(path))
        except ValueError as error:
            raise ConfigError(f"{path} has a setting twice ({error})", "remove one of the two") from error
    return files


def _frames(error: BaseException) -> tuple[list[FrameType], BaseException]:
    """The frames of an exception and of its causes, innermost last, and the innermost cause."""
    frames = []
    cause: BaseException | None = error
    while cause is not None:
        frames += [frame for frame, _ in walk_tb(cause.__traceback__)]
        error, cause = cause, cause.__cause__
    return frames, error


def _built(frames: Sequence[FrameType]) -> ConfigComponent | ConfigExpression | None:
    """The component or expression that was being built, None elsewhere."""
    owners = [frame.f_locals.get("self") for frame in frames]
    return next((each for each in reversed(owners) if isinstance(each, ConfigComponent | ConfigExpression)), None)


def _with_place(mistake: UserError, error: BaseException) -> UserError:
    """A mistake in a component, ``overlap is 2``, with the place of the setting: ``--stitching::overlap is 2``."""
    found, name = _built(_frames(error)[0]), re.match(r"(\w+) is ", str(mistake))
    if name is None or not isinstance(found, ConfigComponent) or name[1] not in found.get_config():
        return mistake
    return type(mistake)(f"--{found.get_id()}::{mistake}")


def _of_a_component(error: BaseException) -> ConfigError | None:
    """What stopped a component from being built from its settings, or an expression; None for errors elsewhere."""
    frames, innermost = _frames(error)
    found, last = _built(frames), frames[-1] if frames else None
    place = "" if found is None else str(found.get_id())
    if isinstance(innermost, ModuleNotFoundError) and isinstance(found, ConfigComponent):
        try:
            require_located(place, found.get_config(), found.locator)
        except ConfigError as unlocated:
            return unlocated
    reason = f"{type(innermost).__name__}: {' '.join(str(innermost).split())[:200]}"
    remedy = "change its settings (MONAI_DEBUG=1 shows where it failed)"
    if isinstance(found, ConfigComponent):
        return ConfigError(f"{found.get_config()['_target_']} refuses the settings of --{place} ({reason})", remedy)
    if found is not None and last is not None and last.f_code.co_filename == "<string>":  # its own text, no function
        written = re.sub(r"__local_refs\['([^']+)'\]", r"@\1", str(found.get_config()))
        return ConfigError(f"--{place} is an expression that fails, {written} ({reason})", remedy)
    return None


def _circle(error: BaseException) -> ConfigError | None:
    """MONAI's error for settings that refer to each other."""
    while not isinstance(error, ValueError) and error.__cause__ is not None:
        error = error.__cause__
    if not isinstance(error, ValueError) or not (circle := CIRCLE.search(str(error))):
        return None
    return ConfigError(f"--{circle[2]} refers to itself through {circle[1]}", "give one of them a value")


def end_command(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Print a user error as one line and exit with its code, that of a component while it is built as well.

    Other errors are printed as usual, and with ``MONAI_DEBUG=1`` that of a component too.
    """
    mistake = user_error_in(error)
    cause = _with_place(mistake, error) if mistake else _circle(error) or of_stdout(error)
    if cause is None and not MONAIEnvVars.debug():
        cause = _of_a_component(error)
    if cause is None:
        sys.__excepthook__(kind, error, trace)
        return
    sys.stdout.flush()
    print(f"\n{cause.label}{cause}", file=sys.stderr, flush=True)  # a progress bar may not have ended its line
    for thread in threading.enumerate():
        if isinstance(
            thread, DummyProcess
        ):  # loads the next case into a cache: PyTorch aborts if Python ends meanwhile
            thread.join(PATIENCE_S)
    raise SystemExit(cause.exit_code)

"""The command that runs, the only look at the call stack, and its options: read from their text, and put in place.

MONAI hands a component neither the configuration that it is part of nor the options of its command.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver, update_kwargs
from monai.bundle.utils import merge_kv
from monai.utils import ensure_tuple

from ..errors import ConfigError, choose
from ..path_names import as_data, is_path
from ..raw_settings import Settings
from .checks import LISTED
from .files import read_file

OF_MONAI = {*inspect.signature(ConfigWorkflow.__init__).parameters, "workflow_name"}
"""Arguments of MONAI's command, which a file of arguments may hold next to settings."""
OPTION = re.compile("--|-[a-zA-Z]")
"""Beginning of a word that Fire, which reads MONAI's command line, takes as the name of an option."""
WORDS = {"true": True, "false": False, "null": None}
"""Words of YAML, next to Python's."""
NAMES = ("variant", "suffix", "series")
"""Options that name a folder, the end of a file, or a series."""
UNREACHED = (KeyError, ValueError, IndexError, TypeError)
"""Errors of a setting whose section is not there, or is none."""


class Command(NamedTuple):
    """A command that runs, or a program that builds a configuration.

    Attributes:
        parser: that builds the caller; None where nothing does.
        files: the config files of the command, raw, by their path; empty for a program.
        options: of the command, by their id, as they are meant.
        run_id: that the command runs.
    """

    parser: ConfigParser | None
    files: Mapping[str, Settings] = {}  # noqa: RUF012  # nobody writes to it
    options: Settings = {}  # noqa: RUF012
    run_id: str = ""


def is_own_process() -> bool:
    """Whether MONAI's command line started this process, so that its options are among the words of the process."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return main is not None and str(main.name).startswith("monai.bundle")


def running_command() -> Command:
    """The command or program that builds the caller.

    Raises:
        ConfigError: an option cannot be read, see :func:`read_option`, or a file has a setting twice.
    """
    parser, named = None, None
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser | ConfigWorkflow):
            parser = owner if isinstance(owner, ConfigParser) else owner.parser
        if named is None and frame.f_code.co_name == "run" and "config_file" in frame.f_locals:
            named = dict(frame.f_locals)
        frame = frame.f_back
    if named is None:
        return Command(parser)
    stored: dict[str, Any] = update_kwargs(named.get("args_file") or {})  # options as they are, "a::b" a name
    given = {**stored, **{key: value for key, value in named.get("override", {}).items() if value is not None}}
    given = {key: value for key, value in given.items() if key not in OF_MONAI}
    files = ensure_tuple(named.get("config_file") or stored.get("config_file") or ())
    return Command(
        parser,
        {str(path): read_file(path) for path in files},
        as_meant(given, sys.argv[1:] if is_own_process() else ()),
        str(named.get("run_id") or stored.get("run_id") or "run"),
    )


def as_meant(given: Mapping[str, Any], words: Sequence[str] = ()) -> Settings:
    """Options by their id: those among the words of a command line as these say, the others as they are.

    Args:
        given: as MONAI read them: each as Python, so that ``res#1`` loses its end and ``t1,t2`` is a tuple.
        words: that were typed.
    """
    typed = {key: read_option(key, text) for key, text in _options_in(words)}
    options = {ReferenceResolver.normalize_id(name): value for name, value in given.items()}
    return {key: typed[key] if key in typed else _as_name(key, value) for key, value in options.items()}


def _options_in(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options among the words of a command line, by their id."""
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, has_value, value = word.partition("=")
        if OPTION.match(word) and (has_value or not OPTION.match(following)):
            key = ReferenceResolver.normalize_id(name.lstrip("-").replace("-", "_"))
            yield key, value if has_value else following


def read_option(key: str, text: str) -> Any:
    """The value of an option: of a name its text, else what ``1e-4``, ``[0, 255]``, ``{weight: 1}`` or ``true`` is.

    Args:
        key: its id.
        text: as it was typed. Where it has commas, ``t1,t2``, it is a tuple, until the setting is known.

    Raises:
        ConfigError: it is None, with which MONAI takes an option as not given at all, or the name of no path and one
            that MONAI would read as something else.
    """
    if text == "None":
        raise ConfigError(f"--{key} is None, which MONAI ignores", "write null, or omit it")
    return _as_name(key, text if _is_name(key) and text != "null" else _literal(text))


class _WordsAsTexts(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.Constant:
        return ast.Constant(WORDS.get(node.id, node.id))


def _literal(text: str) -> Any:
    """The value of a Python literal in which words are texts; all else is text."""
    try:
        value = ast.literal_eval(_WordsAsTexts().visit(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return text
    is_bare = isinstance(value, str) and not text.startswith(("'", '"'))  # Python reads another letter for some
    return text if is_bare or isinstance(value, bytes | complex | set) else value


def _as_name(key: str, value: Any) -> Any:
    """A value; that of a path is data, if MONAI would read something else in its text."""
    data = as_data(value) if isinstance(value, str) and _is_name(key) else value
    if isinstance(data, Path) and data is not value and not is_path(key):
        raise ConfigError(f"--{key} is {value}, a name with #, :: or a leading $, @ or %", "choose another one")
    return data


def _is_name(key: str) -> bool:
    return is_path(key) or key.rpartition("::")[2] in NAMES


def merged(files: Mapping[str, Settings]) -> Settings:
    """The settings of config files as MONAI merges them, later ones over earlier ones.

    Args:
        files: raw settings of each file, by its path.

    Raises:
        ConfigError: an id reaches into what the files before it do not have, or adds to a setting of another kind.
    """
    parser = ConfigParser({})
    for path, content in files.items():
        for key, value in content.items():
            try:
                merge_kv(parser, key, value)
            except UNREACHED as error:
                raise _out_of_reach(parser.get(), key, value, path) from error
    return dict(parser.get())


def set_options(parser: ConfigParser, options: Mapping[str, Any]) -> None:
    """Set options one after the other, as MONAI's command does.

    Args:
        parser: with the content of the config files.
        options: values by id.

    Raises:
        ConfigError: an id reaches into what is not there, such as ``losses::gdl::weight`` where no loss is named gdl.
    """
    for key, value in options.items():
        try:
            parser[key] = value
        except UNREACHED as error:
            raise _out_of_reach(parser.get(), key, value) from error


def _out_of_reach(config: Any, key: str, value: Any, file: str | None = None) -> ConfigError:
    """The error of an option, or of a setting in a file, with the section that is missing or is none."""
    said = f"--{key}" if file is None else f"{key} in {file}"
    place: list[str] = []
    names = ReferenceResolver.split_id(key.lstrip("+"))
    while len(names) > 1:
        try:
            config = config[int(names[0])] if isinstance(config, list) else config[names[0]]
        except UNREACHED:
            break
        place.append(names.pop(0))
    outer = "::".join(place)
    if key.startswith("+") and len(names) == 1:
        return ConfigError(f"{said} adds {value!r} to a setting of another kind", "add a section to one, or a list")
    if isinstance(config, list):
        return ConfigError(f"{said} reaches into {outer}, which is a list of {len(config)}", "count its parts from 0")
    if not isinstance(config, Mapping):
        fault = f"{said} reaches into {outer}, which is {'null' if config is None else repr(config)}"
        remedy = _given(outer, names, value, file) if config is None else _given(outer, (), "VALUE", file)
        return ConfigError(fault, remedy)
    missing = "::".join([*place, names[0]])
    fault = f"{said} reaches into {missing}, which this configuration does not have"
    if not place:
        nearest = difflib.get_close_matches(missing, config, n=1)
        return ConfigError(fault, f"did you mean {nearest[0]}?" if nearest else LISTED)
    parts = choose(sorted(name for name in config if not name.startswith("_")))
    return ConfigError(fault, f"{parts} in {outer}, or {_given(missing, names[1:], value, file)}")


def _given(place: str, names: Sequence[str], value: Any, file: str | None) -> str:
    """How a setting at the end of a path of names in a section is given: ``--losses::gdl '{weight: 1}'``."""
    shown = f"{''.join(f'{{{name}: ' for name in names)}{value}{'}' * len(names)}"
    if file is not None:
        return f"write {place}: {shown}"
    return f"pass --{place} {shown!r}" if names else f"pass --{place} {shown}"

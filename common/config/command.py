"""The command that runs: the only look at the call stack and at the words that were typed.

MONAI hands a component neither the configuration that it is part of nor the options of its command.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver
from monai.utils import ensure_tuple

from ..raw_settings import Settings

OPTION = re.compile("--|-[a-zA-Z]")
"""Beginning of a word that Fire, which reads MONAI's command line, takes as the name of an option."""


class Command(NamedTuple):
    """A command of MONAI that runs, or a program that builds a configuration.

    Attributes:
        parser: that builds the caller; None where nothing does.
        files: the config files of the command; empty for a program.
        options: of the command, as MONAI read them, by their id.
        run_id: that the command runs.
        typed: the options as they were typed, by their id; None for a program, which types none.
    """

    parser: ConfigParser | None
    files: tuple[str, ...] = ()
    options: Settings = {}  # noqa: RUF012  # nobody writes to it
    run_id: str = ""
    typed: Mapping[str, str] | None = None


def running_command() -> Command:
    """The command or program that builds the caller."""
    parser, named = None, None
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, ConfigParser | ConfigWorkflow):
            parser = owner if isinstance(owner, ConfigParser) else owner.parser
        if named is None and frame.f_code.co_name == "run" and "config_file" in frame.f_locals:
            named = dict(frame.f_locals)
        frame = frame.f_back
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    typed = options_in(sys.argv[1:]) if main is not None and main.name.startswith("monai.bundle") else None
    if named is None:
        return Command(parser, typed=typed)
    stored: dict[str, Any] = ConfigParser.load_config_files(named.get("args_file") or {})
    given = {**stored, **named.get("override", {})}
    return Command(
        parser,
        ensure_tuple(named.get("config_file") or stored.get("config_file") or ()),
        {ReferenceResolver.normalize_id(name): value for name, value in given.items()},
        str(named.get("run_id") or stored.get("run_id") or "run"),
        typed,
    )


def options_in(words: Sequence[str]) -> dict[str, str]:
    """Options among the words of a command line, by their id."""
    options = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        name, has_value, value = word.partition("=")
        if OPTION.match(word) and (has_value or not OPTION.match(following)):
            key = ReferenceResolver.normalize_id(name.lstrip("-").replace("-", "_"))
            options[key] = value if has_value else following
    return options

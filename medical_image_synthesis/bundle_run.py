"""A run of a bundle with options that are data, as ``synthesize`` starts it in a process of its own.

The one argument is JSON, ``{"run_id": ID, "config_file": [FILE, ...], "options": {NAME: TEXT, ...},
"verbose": BOOL}``. Texts are read as MONAI's command line reads them, but names are taken as they are, and none is
evaluated.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser, ReferenceResolver, run

from common.config.files import configs_in, shipped_settings, top
from common.config.given import set_options
from common.config.names import is_name, none_given
from common.config.start import end_command
from common.errors import ConfigError
from common.path_names import as_data, is_path, texts
from medical_image_synthesis.terminal import for_users

QUOTES = ("'", '"')


def main() -> None:
    """Run it; mistakes of the user end it as they end MONAI's command."""
    sys.excepthook = end_command
    logging.raiseExceptions = False  # as in prepare, for the lines before it
    given = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        _run({**given, "config_file": _fitting(given["config_file"], Path(folder))})


def _run(given: dict[str, Any]) -> None:
    options = {name: _read(ReferenceResolver.normalize_id(name), text) for name, text in given["options"].items()}
    if "logging_file" in options:
        raise ConfigError("--logging_file is not an option here", "pass --verbose for the bundle's logging.conf")
    set_options(ConfigParser(ConfigParser.load_config_files(given["config_file"])), options)  # MONAI's has no message
    if not given["verbose"]:
        for_users()
        options["logging_file"] = False
    run(**{**options, "run_id": given["run_id"], "config_file": given["config_file"]})


def _fitting(files: list[str], folder: Path) -> list[str]:
    """Config files; overlays without parts of sections that others of the bundle have and this run has not.

    An overlay with a network and ``losses::l1::function`` fits a training and, written to a folder, an inference.
    """
    fitting = files[:1]
    shipped = shipped_settings(configs_in(Path(files[0]).parent))
    known = set(ConfigParser.load_config_file(files[0]))
    for number, file in enumerate(files[1:]):
        content = ConfigParser.load_config_file(file)
        lost = {key for key in content if "::" in key and top(key) in shipped and top(key) not in known}
        known |= content.keys() - lost
        if lost:
            file = str(folder / f"{number}_{Path(file).stem}.yaml")
            kept = {key: value for key, value in content.items() if key not in lost}
            Path(file).write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")
        fitting.append(file)
    return fitting


def _read(name: str, text: str) -> Any:
    """The value of an option.

    Raises:
        ConfigError: it is None, or has an expression or a macro, which would be evaluated.
    """
    if is_name(name) and text != "null":
        return as_data(text) if is_path(name) else text
    value = DefaultParseValue(text)
    if value is None:
        raise none_given(name)
    if isinstance(value, str) and not text.startswith(QUOTES):
        value = text  # Python reads another letter for some
    if any(line[:1] in ("$", "%") for line in texts(value).splitlines()):
        raise ConfigError(f"--{name} is the expression {text}", "pass a value, or write it in a file for --overlay")
    return value


if __name__ == "__main__":
    main()

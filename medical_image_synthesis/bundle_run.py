"""A run of a bundle with options that are data, as ``synthesize`` starts it in a process of its own.

The one argument is JSON, ``{"run_id": ID, "config_file": [FILE, ...], "options": {NAME: TEXT, ...},
"verbose": BOOL}``. Names are taken as they are, and no text is evaluated.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver

from common.config.command import Command, read_option, set_options
from common.config.files import BundleFiles, files_of, merged, read_file, top
from common.config.mistakes import end_command
from common.config.start import start
from common.errors import ConfigError, of_stdout
from common.path_names import texts
from common.raw_settings import Settings
from medical_image_synthesis.terminal import for_users

OF_MONAI = ("tracking", "init_id", "final_id")
"""Options of MONAI's workflow itself."""


def main() -> None:
    """Run it; mistakes of the user end it as they end MONAI's command."""
    sys.excepthook = end_command
    logging.raiseExceptions = False  # as in prepare, for the lines before it
    _run(**json.loads(sys.argv[1]))
    try:
        sys.stdout.flush()
    except OSError as error:
        of_stdout(error)  # nobody reads the messages; all is written nevertheless


def _run(run_id: str, config_file: list[str], options: dict[str, str], verbose: bool) -> None:
    given = {ReferenceResolver.normalize_id(name): _data(name, text) for name, text in options.items()}
    if "logging_file" in given:
        raise ConfigError("--logging_file is not an option here", "pass --verbose for the bundle's logging.conf")
    folder = Path(config_file[0]).parent
    files = fitting({path: read_file(path) for path in config_file}, files_of(folder))
    of_monai = {name: given.pop(name) for name in OF_MONAI if name in given}
    parser = ConfigParser(merged(files.values()))
    set_options(parser, given)
    if not verbose:
        for_users()
    workflow = ConfigWorkflow(
        None,  # type: ignore[arg-type]  # all settings are overrides of none
        meta_file=str(folder / "metadata.json"),
        logging_file=str(folder / "logging.conf") if verbose else False,
        run_id=run_id,
        **of_monai,
        **parser.get(),
    )
    workflow.config_root_path = folder  # whose parent it puts on the path
    workflow.initialize()
    start(workflow.parser, Command(workflow.parser, files, given, run_id), str(folder.resolve().parent))
    workflow.run()
    workflow.finalize()


def fitting(files: dict[str, Settings], known: BundleFiles) -> dict[str, Settings]:
    """Config files by their path; overlays without parts of sections that others of the bundle alone have.

    An overlay with a network and ``losses::l1::function`` fits a training and, written to a folder, an inference.
    """
    fits: dict[str, Settings] = {}
    here: set[str] = set()
    for path, content in files.items():
        lost = {key for key in content if fits and "::" in key and top(key) in known.tops and top(key) not in here}
        fits[path] = {key: value for key, value in content.items() if key not in lost}
        here |= fits[path].keys()
    return fits


def _data(name: str, text: str) -> Any:
    """The value of an option that is data.

    Raises:
        ConfigError: it has an expression or a macro, which would be evaluated.
    """
    value = read_option(ReferenceResolver.normalize_id(name), text)
    if any(line[:1] in ("$", "%") for line in texts(value).splitlines()):
        raise ConfigError(f"--{name} is the expression {text}", "pass a value, or write it in a file for --overlay")
    return value


if __name__ == "__main__":
    main()

"""A run of a bundle with options that are data, as ``synthesize`` starts it in a process of its own.

The one argument is JSON, ``{"run_id": ID, "config_file": [FILE, ...], "options": {NAME: TEXT, ...},
"verbose": BOOL}``. Names are taken as they are, and no text is evaluated. With ``"tells_kind": true`` the class of a
user's mistake is printed before the line of its message, for a program that raises it again.
"""

from __future__ import annotations

import json
import logging
import sys

from monai.bundle import ConfigWorkflow

from common.config.command import Command
from common.config.mistakes import end_command, mistake_in
from common.config.start import settle, start
from common.errors import ConfigError, UserError, of_stdout
from medical_image_synthesis.configured import from_texts, run_files
from medical_image_synthesis.process import KIND
from medical_image_synthesis.terminal import for_users

OF_MONAI = ("tracking", "init_id", "final_id")
"""Options of MONAI's workflow itself."""
OF_MONAIS_COMMAND = {
    "config_file": "pass your file by --overlay",
    "logging_file": "pass --verbose for the bundle's logging.conf",
    **dict.fromkeys(("meta_file", "properties_path", "run_id", "workflow_type"), "omit it"),
}
"""Options of MONAI's command that this one sets itself, and what to do instead."""


def main() -> None:
    """Run it; mistakes of the user end it as they end MONAI's command."""
    sys.excepthook = end_command
    logging.raiseExceptions = False  # as in prepare, for the lines before it
    given = json.loads(sys.argv[1])
    tells_kind = given.pop("tells_kind", False)
    try:
        _run(**given)
    except Exception as error:
        if tells_kind and (mistake := mistake_in(error)) is not None:
            ancestors = type(mistake).__mro__  # the first that is made of a message alone
            name = next(each.__name__ for each in ancestors if each.__init__ is UserError.__init__)  # type: ignore[misc]
            print(f"\n{KIND}{name}", flush=True)
        raise
    try:
        sys.stdout.flush()
    except OSError as error:
        of_stdout(error)  # nobody reads the messages; all is written nevertheless


def _run(run_id: str, config_file: list[str], options: dict[str, str], verbose: bool) -> None:
    if refused := [name for name in options if name in OF_MONAIS_COMMAND]:
        raise ConfigError(f"--{refused[0]} is not an option here", OF_MONAIS_COMMAND[refused[0]])
    given = from_texts(options)
    of_monai = {name: given.pop(name) for name in OF_MONAI if name in given}
    run = run_files(config_file, given)
    if not verbose:
        for_users(sys.stdout)
    workflow = ConfigWorkflow(
        None,  # type: ignore[arg-type]  # all settings are overrides of none
        meta_file=str(run.folder / "metadata.json"),
        logging_file=str(run.folder / "logging.conf") if verbose else False,
        run_id=run_id,
        **of_monai,
        **run.parser.get(),
    )
    workflow.config_root_path = run.folder  # whose parent it puts on the path
    workflow.initialize()
    command = Command(workflow.parser, run.files, run.options, run_id)
    settle(workflow.parser, command)
    start(workflow.parser, command, str(run.folder.resolve().parent))
    workflow.run()
    workflow.finalize()


if __name__ == "__main__":
    main()

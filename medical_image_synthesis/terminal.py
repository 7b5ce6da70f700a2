"""What a bundle's run prints for the user of ``synthesize``: the project's own lines, without times and loggers.

With ``--verbose`` the lines are those of the bundle's ``logging.conf``, next to MONAI's and Ignite's.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

WORKFLOWS = "monai.bundle.workflows"
"""MONAI's logger that warns of a run without a logging file, which is how it leaves these settings as they are."""

LOADING = "loading PyTorch and MONAI"
"""What a command does first, for seconds."""


def say_loading(command: str) -> None:
    """Tell a user at a terminal at once what takes seconds; programs, which read the rest, are told nothing."""
    if sys.stderr.isatty():
        print(f"synthesize {command}: {LOADING}", file=sys.stderr, flush=True)


class TerminalFormatter(logging.Formatter):
    """The message alone; a warning is marked as one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = super().format(record)
        return line if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {line}"


def for_users(stream: TextIO) -> None:
    """Log to a stream what is for the user: INFO and above, of MONAI and Ignite warnings and above."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TerminalFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] in ("monai", "ignite"):
            logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(WORKFLOWS).setLevel(logging.ERROR)

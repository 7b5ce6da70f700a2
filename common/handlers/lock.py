"""The lock of a run's folder: taking it, taking it over from a process that died, and releasing it."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from pathlib import Path
from typing import TextIO

from common.errors import ConfigError, OutputError

logger = logging.getLogger(__name__)
LOCK_NAME = ".lock"


class RunLock:
    """Keeps a folder to one run at a time; the system drops the lock with its process, however that dies.

    Args:
        root: the run's folder, for messages.
        models: the folder that holds the file of the lock; made where it does not exist.
    """

    def __init__(self, root: Path, models: Path) -> None:
        self.root = root
        self.models = models
        self._file: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock, and write who holds it.

        Raises:
            OutputError: a folder that cannot be written.
            ConfigError: another run holds it, which is named.
        """
        file = self._open()
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise ConfigError(
                str(self.root),
                "is used by one run at a time",
                f"a run by {owner}",
                "wait for it, or give another output_dir",
            ) from error
        self._file = file
        file.seek(0)
        if left := file.read().strip():
            logger.warning(f"{self.root} was locked by {left}, which ended without releasing it: taken over")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
        file.flush()

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None

    def _open(self) -> TextIO:
        try:
            self.models.mkdir(parents=True, exist_ok=True)
            return open(self.models / LOCK_NAME, "a+")  # held until the run ends
        except OSError as error:
            remedy = "choose another output_dir"
            raise OutputError(str(self.models), "can be written", error.strerror, remedy) from error

"""The lock of a run's folder: one run at a time, taken over from a process that died."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import ConfigError, OutputError

logger = logging.getLogger(__name__)
LOCK_NAME = ".lock"


class RunLock:
    """Keeps a folder to one run at a time; the system drops the lock with its process, however that dies.

    The file of the lock names its owner while the lock is held, and is empty afterwards.

    Args:
        root: the run's folder, for messages.
        models: the folder that holds the file of the lock; created where it does not exist.
    """

    def __init__(self, root: Path, models: Path) -> None:
        self.root = root
        self.file = models / LOCK_NAME
        # a lock that is a mere file would outlive a process that is killed, so a file system without locks is refused
        self._lock = FileLock(self.file, thread_local=False, blocking=False, fallback_to_soft=False)

    def acquire(self) -> None:
        """Take the lock, and write who holds it.

        Raises:
            OutputError: for a folder that cannot be written.
            ConfigError: where another run holds the lock; names that run.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            left = self._owner() if self.file.exists() else ""  # filelock 4.1.0, Python 3.10's last, empties it
            self._lock.acquire()
        except Timeout as error:
            fault = f"{self.root} is in use by a run of {self._owner() or 'another process'}"
            raise ConfigError(fault, "wait for it, or pass another --output_dir") from error
        except OSError as error:
            fault = f"cannot write {self.file.parent} ({error.strerror})"
            raise OutputError(fault, "pass another --output_dir") from error
        if left:
            logger.warning(f"{self.root} was locked by {left}, which ended without releasing it: taken over")
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self.file.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}")

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._lock.is_locked:
            with contextlib.suppress(FileNotFoundError):  # where somebody removed the folder
                os.truncate(self.file, 0)
            self._lock.release()

    def _owner(self) -> str:
        return self.file.read_text().strip()

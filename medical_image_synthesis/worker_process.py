"""The process that does jobs of page and node; it can be ended at any time, and is started again for the next job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from common.errors import Refused, UserError
from medical_image_synthesis.process import HERE

WORKER = f"{__package__}.worker"
REMEDY = "often too little memory; try a smaller scan"


class WorkerEndedError(UserError):
    """The process has ended in the middle of a job."""


class WorkerProcess:
    """A process of :mod:`medical_image_synthesis.worker`, in a process group of its own.

    Args:
        models: how many it keeps loaded.

    Attributes:
        turn: held by the thread whose job is done.
        of: what the job belongs to; None between jobs.
    """

    def __init__(self, models: int = 1) -> None:
        self.models = models
        self.turn = threading.RLock()
        self.of: Any = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", WORKER, str(self.models)], env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip

    def ask(self, job: str, arguments: Mapping[str, Any], report: Callable[[str, float | None], None]) -> str:
        """Have a job done by the started process, and return what was made; ``report`` is called with the progress.

        Raises:
            Refused: the case has no volume.
            WorkerEndedError: the process has ended.
            UserError: with what the user did wrong.
        """
        process: Any = self._process
        with suppress(BrokenPipeError):  # it has ended
            print(json.dumps([job, arguments], default=str), file=process.stdin, flush=True)
            for line in process.stdout:
                said = json.loads(line)
                if "reasons" in said:
                    raise Refused(said["fault"], said["reasons"])
                if "fault" in said:
                    raise UserError(said["fault"])
                if "made" in said:
                    return str(said["made"])
                report(said["stage"], said["share"])
        code = process.wait()
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise WorkerEndedError(f"the inference ended unexpectedly ({ended})", REMEDY)

    def kill(self) -> None:
        """End the process and what it started at once."""
        if self._process is None or self._process.poll() is not None:
            return
        if hasattr(os, "killpg"):
            with suppress(PermissionError):  # it has just ended
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process, and with it a job."""
        self.kill()
        with self.turn:
            if self._process is not None:
                self._process.communicate()  # closes its pipes

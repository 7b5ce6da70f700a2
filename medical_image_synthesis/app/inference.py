"""The inference of a case in a process group of its own, with its progress, that can be ended at any time."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import UserError
from medical_image_synthesis.infer import MANIFEST
from medical_image_synthesis.process import HERE

BAR = re.compile(r"^(?P<stage>[\w ,]+):\s+(?P<percent>\d+)%\|.*?\[(?P<spent>[\d:]+)<(?P<left>[\d:?]+)")
"""A progress bar of tqdm."""
ERROR = UserError.label
COLUMNS = 100
LAST_LINES = 20
"""How many lines of a process are kept for the message of a failure."""


def message_pipe(columns: int) -> tuple[int, int]:
    """Where messages are read and written: a terminal where there are such, since bars are shown on terminals alone.

    Args:
        columns: of the terminal; without a width bars are cut.
    """
    try:
        import fcntl
        import pty
        import termios
        import tty
    except ImportError:  # Windows
        return os.pipe()
    reads, writes = pty.openpty()
    tty.setraw(writes)
    fcntl.ioctl(writes, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return reads, writes


def read_messages(descriptor: int) -> bytes:
    """What a process has written; nothing where all that had it open have ended, which a terminal says by an error."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


class CaseProgress(NamedTuple):
    """What a process is doing: a stage in words, the share of it that is done, and seconds until it is."""

    stage: str
    share: float | None = None
    seconds_left: int | None = None


def progress_of(line: str) -> CaseProgress | None:
    """The progress in a line of ``synthesize``: that of a bar, or the line itself; None for an empty one."""
    if found := BAR.match(line.strip()):
        left = found["left"]
        seconds = None if "?" in left else sum(int(n) * 60**i for i, n in enumerate(reversed(left.split(":"))))
        return CaseProgress(found["stage"], int(found["percent"]) / 100, seconds)
    return CaseProgress(line.strip()) if line.strip() else None


class CaseProcess:
    """A command of ``synthesize`` whose messages are read, and which is ended with all that it started.

    Args:
        module: that Python runs.
        words: after its name.
        report: called with each progress.
    """

    def __init__(self, module: str, words: Sequence[str], report: Callable[[CaseProgress], None]) -> None:
        self.report = report
        self.lines: list[str] = []
        paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        self.messages, written = message_pipe(COLUMNS)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", module, *words],
                env={**os.environ, "PYTHONPATH": paths, "COLUMNS": str(COLUMNS)},
                stdin=subprocess.DEVNULL, stdout=written, stderr=written, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(self.messages)
            raise
        finally:
            os.close(written)

    def wait(self) -> int:
        """Read the messages until the process has ended, and return its exit code."""
        text = ""
        with os.fdopen(self.messages, "rb", buffering=0) as messages:
            while chunk := read_messages(messages.fileno()):
                *lines, text = re.split(r"[\r\n]+", text + chunk.decode(errors="replace"))
                for line in lines:
                    self._take(line)
        self._take(text)
        return self.process.wait()

    def _take(self, line: str) -> None:
        if (progress := progress_of(line)) is not None:
            if progress.share is None:
                self.lines = [*self.lines, progress.stage][-LAST_LINES:]
            self.report(progress)

    def kill(self) -> None:
        """End the process and what it started at once."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def failure(self, code: int) -> str:
        """One line about why the process failed."""
        said = next((line[len(ERROR) :] for line in reversed(self.lines) if line.startswith(ERROR)), None)
        if said is not None:
            return said
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the inference ended unexpectedly ({ended}): often too little memory; try a smaller scan"


def made(folder: Path) -> dict[str, Any]:
    """The entry of the one case in a folder's manifest; empty where none was written."""
    manifest = folder / MANIFEST
    entries = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else []
    return dict(entries[0]) if entries else {}


def zipped(folders: Sequence[Path], path: Path) -> None:
    """Write the files of some folders into a zip, each below the folder's name."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
        for folder in folders:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{folder.name}/{file.name}")

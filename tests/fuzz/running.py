"""One command in a folder of its own, within limits of time and memory, and what it did to the files around it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import forked_commands

CPU_SECONDS = 300
"""Of one command, whose unmutated form needs two or three: a finding is what never ends, not what is slow."""
WALL_SECONDS = 900
MEMORY = 6 * 2**30
"""Bytes of addresses that a command may take besides those of the server."""


@dataclass(frozen=True)
class Done:
    """A command at its end: the code or negative signal, its output, and how long it took."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    hung: bool = False

    @property
    def text(self) -> str:
        return f"{self.stdout}\n{self.stderr}"


def start_server() -> None:
    """Start the server of commands; two threads at once would start two."""
    forked_commands.run([sys.executable, "-c", "pass"])


def run(
    words: Sequence[str],
    box: Path,
    environment: Mapping[str, str] | None = None,
    streams: Mapping[str, str] | None = None,
) -> Done:
    """Run a command in ``box/cwd`` with ``box/home`` and ``box/tmp`` as its own."""
    own = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "HOME": str(box / "home"), "TMPDIR": str(box / "tmp")}
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr, contextlib.ExitStack() as stack:
        given = {"stdout": stdout, "stderr": stderr}
        given |= {name: stack.enter_context(opened(how)) for name, how in (streams or {}).items()}
        begin = time.monotonic()
        process = forked_commands.ForkedCommand(
            words, box / "cwd", {**os.environ, **own, **(environment or {})}, subprocess.DEVNULL, **given
        )
        with contextlib.suppress(ProcessLookupError):
            _limit(process.pid)
        hung = False
        try:
            code = process.wait(WALL_SECONDS)
        except subprocess.TimeoutExpired:
            hung = True
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        seconds = time.monotonic() - begin
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read(1 << 22).decode(errors="replace"))
    return Done(code, *said, seconds, hung or code == -signal.SIGXCPU)


@contextlib.contextmanager
def opened(how: str) -> Iterator[int]:
    """A descriptor that refuses what is written to it: ``full``, ``closed`` to writers, or ``without a reader``."""
    if how == "without a reader":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full", os.O_WRONLY) if how == "full" else os.open("/dev/null", os.O_RDONLY)
    try:
        yield writer
    finally:
        os.close(writer)


def _limit(pid: int) -> None:
    addresses = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.prlimit(pid, resource.RLIMIT_AS, (addresses + MEMORY, addresses + MEMORY))


def snapshot(folder: Path, leave_out: Sequence[str] = ()) -> dict[str, str]:
    """Everything below a folder by its relative path: the hash of a file, the target of a link, the kind of others.

    Folders named in ``leave_out``, relative to this one, are not looked into.
    """
    found: dict[str, str] = {}
    for place, folders, files in os.walk(folder):
        here = os.path.relpath(place, folder)
        folders[:] = [name for name in folders if os.path.normpath(os.path.join(here, name)) not in leave_out]
        for name in (*folders, *files):
            path = os.path.join(place, name)
            found[os.path.normpath(os.path.join(here, name))] = _content(path)
    return found


def _content(path: str) -> str:
    mode = os.lstat(path).st_mode
    if stat.S_ISREG(mode):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return os.readlink(path) if stat.S_ISLNK(mode) else f"kind {stat.S_IFMT(mode):o}"


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Paths that were changed or removed, and paths that are new."""
    changed = sorted(name for name, content in before.items() if after.get(name) != content)
    return changed, sorted(after.keys() - before.keys())


def listing(folder: Path) -> dict[str, str]:
    """The files of the repository's bundles with size and time: a cheap look at whether one was written."""
    files = (path for path in folder.rglob("*") if "__pycache__" not in path.parts and path.is_file())
    return {str(path.relative_to(folder)): f"{path.stat().st_size} {path.stat().st_mtime_ns}" for path in files}

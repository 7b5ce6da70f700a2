"""A bundle's run in a process of its own, where its package is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.terminal import LOADING

BUNDLE_RUN = f"{__package__}.bundle_run"
HERE = Path(__file__).resolve().parents[1]
"""Folder of this package."""
WAITING = "OMP_WAIT_POLICY"
"""How PyTorch's threads wait for each other, read when it is imported."""


def run_bundle(
    bundle: Bundle,
    run_id: str,
    files: Sequence[str],
    options: Mapping[str, str],
    named: tuple[Path, Path] | None = None,
    verbose: bool = False,
) -> int:
    """Run a bundle, and return the exit code.

    Args:
        bundle: see :func:`run_python`.
        run_id: of its configs.
        files: its config files.
        options: settings by name, as texts.
        named: see :func:`run_python`.
        verbose: log as the bundle's ``logging.conf`` has it, see :mod:`medical_image_synthesis.terminal`.
    """
    _say(bundle, run_id)
    return run_python(bundle, _words(run_id, files, options, verbose), named)


def run_python(bundle: Bundle, words: Sequence[str], named: tuple[Path, Path] | None = None) -> int:
    """Run Python with these words, whose messages go to stderr, and return its exit code.

    Args:
        bundle: whose package is on the path.
        words: of the command line.
        named: a temporary folder, and the path that messages name instead; both have one parent.
    """
    command, environment = [sys.executable, *words], _with_package(bundle)
    if named is not None:
        return _relayed(command, environment, *(os.fsencode(path.name) for path in named))
    return subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode


def become_bundle(
    bundle: Bundle, run_id: str, files: Sequence[str], options: Mapping[str, str], verbose: bool = False
) -> int:
    """Run a bundle in the place of this process, so that signals and exit code are those of the run."""
    if os.name == "nt":  # which cannot replace a process
        return run_bundle(bundle, run_id, files, options, verbose=verbose)
    _say(bundle, run_id)
    sys.stdout.flush()
    return os.execve(sys.executable, [sys.executable, *_words(run_id, files, options, verbose)], _with_package(bundle))


def _say(bundle: Bundle, run_id: str) -> None:
    """Tell the user at once what begins; PyTorch and MONAI need seconds to be imported."""
    about = f"{bundle.name} {bundle.metadata['version']}: {run_id}; for research, not for clinical use"
    print(f"{about}; {LOADING}", file=sys.stderr, flush=True)


def _words(run_id: str, files: Sequence[str], options: Mapping[str, str], verbose: bool) -> list[str]:
    given = {"run_id": run_id, "config_file": list(files), "options": dict(options), "verbose": verbose}
    return ["-W", "ignore", "-m", BUNDLE_RUN, json.dumps(given)]


def _with_package(bundle: Bundle) -> dict[str, str]:
    """The environment in which the bundle's package is found, and this one where it is, not in the current folder.

    That may be the clone that this package was installed from. Python 3.10 looks there first nevertheless. On a busy
    machine threads sleep while they wait for each other: results are the same, and other programs get the cores.
    """
    paths = [str(bundle.folder), os.environ.get("PYTHONPATH"), str(HERE) if Path.cwd() == HERE else None]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    return {WAITING: "passive", **found} if _is_busy() else found


def _is_busy() -> bool:
    """Whether other programs took half a core or more in the last minute."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] >= 0.5


def _relayed(command: Sequence[str], environment: Mapping[str, str], folder: bytes, name: bytes) -> int:
    """Run a command whose messages name another file in the place of a folder and what lies in it."""
    inside = re.compile(re.escape(folder) + rb"(/[^\s'\":;,]*)?")
    messages, written = message_pipe(shutil.get_terminal_size().columns) if sys.stderr.isatty() else os.pipe()
    try:
        process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
    except BaseException:
        os.close(messages)
        raise
    finally:
        os.close(written)
    with process, os.fdopen(messages, "rb", buffering=0), _without_a_reader():
        try:
            while chunk := read_messages(messages):
                with suppress(OSError, ValueError, AttributeError):  # stderr is closed, or nobody reads it
                    sys.stderr.buffer.write(inside.sub(lambda _: name, chunk))
                    sys.stderr.buffer.flush()
        except BaseException:
            process.kill()
            raise
    return int(process.returncode)


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


@contextmanager
def _without_a_reader() -> Iterator[None]:
    """Let the process go on where nobody reads its messages, so that the volume is written nevertheless."""
    if not hasattr(signal, "SIGPIPE") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)

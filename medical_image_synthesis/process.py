"""Python in a process of its own, where a bundle's package is found."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from medical_image_synthesis.catalogue import Bundle


def run_python(bundle: Bundle, words: Sequence[str], to_stderr: bool, named: tuple[Path, Path] | None = None) -> int:
    """Run Python with these words, and return its exit code.

    Args:
        bundle: whose package is on the path.
        words: of the command line.
        to_stderr: whether what it prints goes to stderr, too.
        named: a temporary folder, and the path that messages name instead; both have one parent.
    """
    paths = os.pathsep.join(filter(None, [str(bundle.folder), os.environ.get("PYTHONPATH")]))
    command, environment = [sys.executable, "-W", "ignore", *words], {**os.environ, "PYTHONPATH": paths}
    if named is not None:
        return _relayed(command, environment, *(os.fsencode(path.name) for path in named))
    output = sys.stderr if to_stderr else None
    return subprocess.run(command, env=environment, stdout=output, check=False).returncode


def _relayed(command: Sequence[str], environment: Mapping[str, str], folder: bytes, name: bytes) -> int:
    """Run a command whose messages name another file in the place of a folder and what lies in it."""
    inside = re.compile(re.escape(folder) + rb"(/[^\s'\":;,]*)?")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environment, **pipes) as process, _without_a_reader():  # type: ignore[call-overload]
        try:
            while chunk := process.stdout.read1():
                with suppress(OSError, ValueError, AttributeError):  # stderr is closed, or nobody reads it
                    sys.stderr.buffer.write(inside.sub(lambda _: name, chunk))
                    sys.stderr.buffer.flush()
        except BaseException:
            process.kill()
            raise
    return int(process.returncode)


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

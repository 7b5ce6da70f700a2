"""Commands of Python as real processes that need not import PyTorch and MONAI: forks of a server that has done so.

Exit codes, signals, standard streams, environment and working directory are those of ``python -m MODULE ...`` started
by :mod:`subprocess`; ``test_command_server.py`` compares the two. What a fork cannot have is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

OF_THE_INTERPRETER = (
    "PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONDEVMODE",
    "PYTHONHOME", "LANG", "LC_ALL",
)  # fmt: skip
"""Variables that Python reads when it starts: a fork has those of the server, which are those of the test run."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Read when libraries are loaded; threads do not survive a fork."""
SERVER = Path(__file__).with_name("command_server.py")
Stream = IO[Any] | int | None


class ForkedCommand:
    """A command that runs, to be used as a :class:`subprocess.Popen`.

    Args:
        words: ``[sys.executable, "-W", ..., "-m", MODULE, ...]``; ``-c PROGRAM`` or the path of a script as well.
        cwd: as for ``Popen``; so are ``env``, ``stdin``, ``stdout``, ``stderr`` (files) and ``start_new_session``.

    Raises:
        ValueError: for an option or a variable that only a Python of its own can heed.
    """

    def __init__(
        self,
        words: Sequence[str],
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = list(words)
        self.returncode: int | None = None
        request = {"words": self.args, "cwd": str(cwd or os.getcwd()), "start_new_session": start_new_session}
        request |= _parsed(self.args) | {"env": _checked(dict(os.environ if env is None else env))}
        files = [_descriptor(stream, number) for number, stream in enumerate((stdin, stdout))]
        files.append(files[1] if stderr == subprocess.STDOUT else _descriptor(stderr, 2))
        self._answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(_server(), [json.dumps(request).encode()], [theirs.fileno(), *files])
        self.pid: int = self._told()["pid"]

    def poll(self) -> int | None:
        """The exit code, the negative number of the signal that ended it, or nothing while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            ready, _, _ = select.select([self._answer], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = self._told()["returncode"]
            self._answer.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _told(self) -> dict[str, int]:
        message = self._answer.recv(1 << 16)
        if not message:
            raise RuntimeError("the command server has ended; what it said is above")
        return json.loads(message)


def run(
    words: Sequence[str],
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return exit code, stdout and stderr, as :func:`subprocess.run` with pipes does."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = ForkedCommand(words, cwd, env, subprocess.DEVNULL, stdout, stderr)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        said = []
        for file in (stdout, stderr):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
    return subprocess.CompletedProcess(process.args, code, *said)


@cache
def _server() -> socket.socket:
    """The connection to the server, which lives as long as this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(SERVER), str(theirs.fileno())],
            env=own | ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _parsed(words: list[str]) -> dict[str, Any]:
    """What is to be run, and the options of Python before it."""
    python, *rest = words
    warnings = []
    while rest[0] == "-W":
        warnings.append(rest[1])
        rest = rest[2:]
    kind = rest.pop(0) if rest[0] in ("-m", "-c") else "script"
    name, *arguments = rest
    if python != sys.executable or name.startswith("-"):
        raise ValueError(f"{words[:4]} begin as {sys.executable} [-W ...] (-m MODULE | -c PROGRAM | SCRIPT)")
    return {"warnings": warnings, "kind": kind, "name": name, "arguments": arguments}


def _checked(env: dict[str, str]) -> dict[str, str]:
    other = {name: env.get(name) for name in OF_THE_INTERPRETER if env.get(name) != os.environ.get(name)}
    other |= {name: env[name] for name, value in ONE_THREAD.items() if env.get(name, value) != value}
    if other:
        raise ValueError(f"{other} are for a process of its own: Python and its libraries read them when they start")
    return env


def _descriptor(stream: Stream, number: int) -> int:
    if stream is None:
        return number
    if stream == subprocess.DEVNULL:
        return _nowhere()
    return stream if isinstance(stream, int) else stream.fileno()


@cache
def _nowhere() -> int:
    return os.open(os.devnull, os.O_RDWR)

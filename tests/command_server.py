"""A server that forks a process for each command, so that the commands of a test run import PyTorch and MONAI once.

What ``forked_commands.py`` asks for begins as ``python -m`` would begin it: the server has imported libraries, but
nothing of this project, and has started no thread. The forked process leaves the server's code by its last line, so
that uncaught errors, exit codes and the functions registered with ``atexit`` are the interpreter's own affair.

**The rest of its end is not Python's own**: modules of libraries are not freed and destructors of C++ are not run, so
that no test here shows a fault in them; such a test starts ``subprocess``. ``inspect.stack``, of which Fire makes much
use, has no source lines. A refused command takes 0.24 s of a core; it would take 0.8 s, for each of the three is 0.12
to 0.25 s.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Sequence
from typing import Any

THIRD_PARTY = (
    "torch", "torch._dynamo", "torch.profiler", "torch.utils.serialization", "torch.utils.tensorboard", "monai.apps",
    "monai.bundle", "monai.engines", "monai.handlers", "monai.inferers", "monai.metrics", "monai.networks.nets",
    "monai.transforms", "ignite.engine", "ignite.handlers", "ignite.metrics", "fire", "yaml", "jinja2", "jsonschema",
    "nibabel", "pydicom", "pydicom.pixels", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.stats", "pandas",
    "matplotlib.figure", "contourpy", "nilearn.plotting", "PIL.Image", "PIL.JpegImagePlugin", "PIL.PngImagePlugin",
)  # fmt: skip
"""What commands import and what takes long; it is no list of what they need."""
FILTERS = list(warnings.filters)
"""Python's own, which ``-W`` stands before and those that libraries add stand before in turn."""


class Command:
    """A forked process that is not at its end: the file that tells its end, its number, and whom to tell."""

    def __init__(self, pid: int, answer: socket.socket) -> None:
        self.pid, self.answer = pid, answer
        self.ended = os.pidfd_open(pid)
        self._tell(pid=pid)

    def reap(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.ended)
        self._tell(returncode=os.waitstatus_to_exitcode(status))
        self.answer.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _tell(self, **content: int) -> None:
        with contextlib.suppress(OSError):  # nobody waits for it any more
            self.answer.send(json.dumps(content).encode())


def threads() -> list[str]:
    """The names of this process's threads."""
    folder = "/proc/self/task"
    return [open(f"{folder}/{task}/comm").read().strip() for task in os.listdir(folder)]  # noqa: SIM115


def serve(client: socket.socket) -> dict[str, Any] | None:
    """Fork for each request until the client goes; gives the request in a forked process, and nothing in the server."""
    kept = set(os.listdir("/proc/self/fd"))  # libraries may hold files open
    running: dict[int, Command] = {}
    while True:
        ready, _, _ = select.select([client, *running], [], [])
        for ended in ready[1:] if client in ready else ready:
            running.pop(ended).reap()
        if client not in ready:
            continue
        message, (*files,) = socket.recv_fds(client, 1 << 20, 4)[:2]
        if not message:
            for command in running.values():
                command.kill()
            return None
        if len(found := threads()) > 1:
            raise RuntimeError(f"a process with the threads {found} cannot be forked")
        if pid := os.fork():
            command = Command(pid, socket.socket(fileno=files[0]))
            running[command.ended] = command
            for file in files[1:]:
                os.close(file)
            continue
        for number, file in enumerate(files[1:]):
            os.dup2(file, number)
        for name in set(os.listdir("/proc/self/fd")) - kept | {str(client.detach())}:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))
        return json.loads(message)


def prepare(request: dict[str, Any]) -> None:
    """Make this process what ``python`` with these options, in this folder and environment, would be."""
    os.setsid() if request["start_new_session"] else os.setpgid(0, 0)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.orig_argv = request["words"]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.environ.get("PYTHONPATH") else []
    sys.path[:0] = [path for path in dict.fromkeys(map(os.path.abspath, given)) if path not in sys.path]
    importlib.invalidate_caches()
    named = [option for option in os.environ.get("PYTHONWARNINGS", "").split(",") if option]
    libraries = [entry for entry in warnings.filters if entry not in FILTERS]
    sys.warnoptions[:] = [*named, *request["warnings"]]
    warnings.filters[:] = FILTERS  # type: ignore[index]
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]
    warnings.filters[:0] = libraries  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]
    tempfile.tempdir = None
    sys.modules["numpy"].random.seed()  # Python's own generator is seeded anew by the fork itself
    shown = sys.__excepthook__

    def hide_the_server(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        shown(kind, error.with_traceback(trace), trace)

    sys.excepthook = sys.__excepthook__ = hide_the_server


def run(kind: str, name: str, arguments: Sequence[str]) -> None:
    """What ``python -m NAME ...`` runs, ``python -c NAME ...`` or ``python NAME ...``."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if kind == "-m":
        sys.argv = ["-m", *arguments]
        sys.path.insert(0, os.getcwd())
        runpy._run_module_as_main(name)  # type: ignore[attr-defined]
    elif kind == "-c":
        sys.argv = ["-c", *arguments]
        sys.path.insert(0, "")
        exec(compile(name, "<string>", "exec"), main.__dict__)
    else:
        sys.argv = [name, *arguments]
        sys.path.insert(0, os.path.dirname(os.path.realpath(name)))
        runpy.run_path(name, run_name="__main__")


def frames(context: int = 0) -> list[inspect.FrameInfo]:
    """What Fire wants of ``inspect.stack``, which also reads every frame's source and looks at every module for it."""
    here = traceback.walk_stack(sys._getframe(1))
    return [inspect.FrameInfo(one, one.f_code.co_filename, line, one.f_code.co_name, None, None) for one, line in here]


def leave_the_libraries() -> None:
    """At the end of a forked process: to free what it shares with the server takes a third of a second."""
    for name in libraries:
        sys.modules.pop(name, None)


if __name__ == "__main__":
    atexit.register(leave_the_libraries)  # the first that is registered runs last
    connection = socket.socket(fileno=int(sys.argv[1]))
    sys.path.pop(0)  # of this file
    for library in THIRD_PARTY:
        importlib.import_module(library)
    libraries = {name: module for name, module in sys.modules.items() if name not in ("sys", "builtins", "__main__")}
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(libraries))
    libc = ctypes.CDLL(None)
    libc.on_exit(libc._exit, None)  # nor are the destructors of C++ needed
    inspect.stack = frames
    gc.collect()
    gc.freeze()  # what is never collected is never copied either
    asked = serve(connection)
    if asked is not None:
        prepare(asked)
        try:
            run(asked["kind"], asked["name"], asked["arguments"])
        finally:  # what is printed while the last objects go is not flushed here, unlike in a Python of its own
            if hasattr(sys.stdout, "reconfigure") and not sys.stdout.closed:
                sys.stdout.reconfigure(line_buffering=True)

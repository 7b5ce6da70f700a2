"""Commands in this process: exit code, stdout and stderr of ``python -m MODULE ...`` without seconds of imports.

What a command changes of the process is given back. What only a process shows, such as signals, a closed stdout and
several at once, is in ``test_processes.py``.
"""

from __future__ import annotations

import logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from unittest import mock

import monai.bundle  # noqa: F401  # a command changes levels of its loggers, which are given back if they exist
import torch

from tools.repository import ROOT, bundle_names

PACKAGES = {"common", "examples", "medical_image_synthesis", "tools", *bundle_names()}
"""What a command imports anew where it finds other copies first."""
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGPIPE") if hasattr(signal, name)]


def run(
    module: str, *arguments: object, cwd: str | Path | None = None, path: Sequence[str | Path] = ()
) -> subprocess.CompletedProcess[str]:
    """What ``python -W ignore -m MODULE ARGUMENTS`` gives, on the CPU and in one thread.

    Args:
        module: its name, or the path of a script.
        arguments: as they are typed.
        cwd: the working directory, by default this one.
        path: folders of ``PYTHONPATH``, from which this project is imported anew.
    """
    words = [module, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        with mock.patch("sys.stdout", stdout), mock.patch("sys.stderr", stderr), _state(), _modules(cwd, path):
            code = _code(module, words)
        said = [file.seek(0) or file.read() for file in (stdout, stderr)]
    return subprocess.CompletedProcess(words, code, *said)


def synthesize(*words: object, cwd: str | Path | None = None) -> subprocess.CompletedProcess[str]:
    """What ``synthesize WORDS`` gives."""
    with bundle_runs():
        return run("medical_image_synthesis", *words, cwd=cwd)


@contextmanager
def bundle_runs() -> Iterator[None]:
    """Runs of bundles that ``synthesize`` starts, or becomes, are commands in this process too."""

    def start(_: object, words: Sequence[str]) -> int:
        done = run(*words[words.index("-m") + 1 :])
        sys.stderr.write(done.stdout + done.stderr)
        return done.returncode

    def become(_: str, words: Sequence[str], __: object) -> None:
        done = run(*words[words.index("-m") + 1 :])
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        sys.exit(done.returncode)

    with mock.patch("medical_image_synthesis.process.run_python", start), mock.patch("os.execve", become):
        yield


def _code(module: str, words: list[str]) -> int:
    """Run it as the main program and give its exit code; its own hook shows an uncaught error."""
    at_exit = ExitStack()
    with mock.patch("sys.argv", words), mock.patch("atexit.register", at_exit.callback), at_exit:
        try:
            _main(module)
        except SystemExit as end:
            code = end.code
        else:
            code = 0
    if isinstance(code, str):
        print(code, file=sys.stderr)
    return code if isinstance(code, int) else int(code is not None)


def _main(module: str) -> None:
    try:
        if module.endswith(".py"):
            runpy.run_path(module, run_name="__main__")
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


@contextmanager
def _modules(cwd: str | Path | None, path: Sequence[str | Path]) -> Iterator[None]:
    """The working directory and what is imported from there; afterwards the modules of before."""
    before, here = dict(sys.modules), os.getcwd()
    for name in [name for name in before if path and name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    with mock.patch("sys.path", [str(cwd or here), *map(str, path), *sys.path]):
        os.chdir(cwd or here)
        try:
            yield
        finally:
            os.chdir(here)
            for name in [name for name in sys.modules if name not in before and _is_of_one(sys.modules[name])]:
                del sys.modules[name]
            sys.modules.update(before)


def _is_of_one(module: ModuleType) -> bool:
    """Whether it is neither a library nor of this repository: what one command alone imports."""
    file = Path(getattr(module, "__file__", None) or __file__)
    return not any(file.is_relative_to(place) for place in (ROOT, sys.prefix, sys.base_prefix))


@contextmanager
def _state() -> Iterator[None]:
    """Logging, warnings, hooks and threads as Python starts with them, and afterwards as before."""
    held = {logger: (logger.level, [*logger.handlers]) for logger in _loggers()}
    handlers, threads = {number: signal.getsignal(number) for number in SIGNALS}, torch.get_num_threads()
    of_libraries = {each for _, own in held.values() for each in own if type(each) is logging.StreamHandler}
    with ExitStack() as stack:
        for context in (
            warnings.catch_warnings(),
            torch.random.fork_rng(devices=[]),
            mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", "THP_MEM_ALLOC_ENABLE": "0"}),
            mock.patch("sys.excepthook", sys.__excepthook__),
            mock.patch("logging.raiseExceptions", True),
            mock.patch("logging._handlerList", []),  # a configuration of logging closes those in it, and their streams
            mock.patch("torch.accelerator.is_available", return_value=False),
            *(mock.patch.object(handler, "stream", sys.stdout) for handler in of_libraries),
        ):
            stack.enter_context(context)
        warnings.simplefilter("ignore")
        logging.root.handlers[:] = []
        logging.root.setLevel(logging.WARNING)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for logger in _loggers():
                level, logger.handlers[:] = held.get(logger, (logger.level, []))
                logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]

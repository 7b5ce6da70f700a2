"""A bundle's run in a process of its own, where its package is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.terminal import LOADING

BUNDLE_RUN = f"{__package__}.bundle_run"
HERE = Path(__file__).resolve().parents[1]
"""Folder of this package."""
KIND = "kind: "
"""What the line begins with that has the class of a user's mistake."""
WAITING = "OMP_WAIT_POLICY"
"""How PyTorch's threads wait for each other, read when it is imported."""


def started_bundle(
    bundle: Bundle, run_id: str, files: Sequence[str], options: Mapping[str, str]
) -> subprocess.Popen[str]:
    """A bundle's run that has begun, whose messages, and the kind of its mistake, are read from its ``stdout``.

    The interrupt of a terminal or notebook reaches the caller alone: a second one would end a training unsaved.
    """
    return subprocess.Popen(
        [sys.executable, *_words(run_id, files, options, False, tells_kind=True)],
        env=_with_package(bundle), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip


def run_python(bundle: Bundle, words: Sequence[str]) -> int:
    """Run Python with these words, a bundle's package on the path, all messages on stderr; return its exit code."""
    environment = _with_package(bundle)
    return subprocess.run([sys.executable, *words], env=environment, stdout=sys.stderr, check=False).returncode


def become_bundle(
    bundle: Bundle, run_id: str, files: Sequence[str], options: Mapping[str, str], verbose: bool = False
) -> int:
    """Run a bundle in the place of this process, so that signals and exit code are those of the run.

    Args:
        bundle: whose package is on the path.
        run_id: of its configs.
        files: its config files.
        options: settings by name, as texts.
        verbose: log as the bundle's ``logging.conf`` has it, see :mod:`medical_image_synthesis.terminal`.
    """
    say_run(bundle, run_id)
    words = _words(run_id, files, options, verbose)
    if os.name == "nt":  # which cannot replace a process
        return run_python(bundle, words)
    sys.stdout.flush()
    return os.execve(sys.executable, [sys.executable, *words], _with_package(bundle))


def say_run(bundle: Bundle, run_id: str) -> None:
    """Tell the user at once what begins; PyTorch and MONAI need seconds to be imported."""
    about = f"{bundle.name} {bundle.metadata['version']}: {run_id}; for research, not for clinical use"
    print(f"{about}; {LOADING}", file=sys.stderr, flush=True)


def _words(
    run_id: str, files: Sequence[str], options: Mapping[str, str], verbose: bool, tells_kind: bool = False
) -> list[str]:
    given = {"run_id": run_id, "config_file": list(files), "options": dict(options), "verbose": verbose}
    given |= {"tells_kind": True} if tells_kind else {}
    return ["-W", "ignore", "-m", BUNDLE_RUN, json.dumps(given)]


def _with_package(bundle: Bundle) -> dict[str, str]:
    """The environment in which the bundle's package is found, and this one where it is, not in the current folder.

    That may be the clone that this package was installed from. Python 3.10 looks there first nevertheless. On a busy
    machine threads sleep while they wait for each other: results are the same, and other programs get the cores.
    """
    paths = [str(bundle.folder), os.environ.get("PYTHONPATH"), str(HERE) if Path.cwd() == HERE else None]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    return {WAITING: "passive", **found} if _is_busy() else found


def let_threads_sleep() -> None:
    """The same for this process, which has not imported PyTorch yet."""
    if _is_busy():
        os.environ.setdefault(WAITING, "passive")


def _is_busy() -> bool:
    """Whether other programs took half a core or more in the last minute."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] >= 0.5

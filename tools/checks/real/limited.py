"""A training that ends after so much processor time."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path


def run_limited(words: Sequence[str], folder: Path, minutes: float, succeeded: Callable[[], bool]) -> None:
    """Run a command in a folder until it has used so many minutes of one core.

    Raises:
        SystemExit: where something else ended it, or it did not succeed by then.
    """
    most = round(60 * minutes)
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (most, most))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=one_thread(), preexec_fn=limit)
    if done.returncode >= 0 or not succeeded():  # the limit ends it by a signal, nothing else does
        raise SystemExit(f"no training for {minutes:g} minutes by {words[0]}:\n{done.stderr[-2000:]}")


def one_thread() -> dict[str, str]:
    """The environment of a command on one core."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}

"""Timing, peak memory and the tables of benchmarks."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple, TypeVar

import torch

from common.devices import single_device
from tools.repository import ROOT

T = TypeVar("T")


class Timing(NamedTuple):
    """Seconds ``before`` (the way that ours is compared with) and ``after`` (ours), or GB estimated and measured."""

    case: str
    before: float | None = None
    after: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster, or the estimate over what was measured."""
        return self.before / self.after if self.before and self.after else None


def seconds(work: Callable[[], T]) -> tuple[float, T]:
    """Time of one call, and what it returned: of the device, or processor time, which other programs disturb least."""
    on_cpu = single_device().type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    start = clock()
    result = work()
    if not on_cpu:
        torch.accelerator.synchronize()
    return clock() - start, result


def alternate(works: Sequence[Callable[[], T]], repeats: int) -> tuple[list[float], list[T]]:
    """Medians of the seconds of several pieces of work, done in turns so that a disturbance meets all; last results."""
    rounds = [[seconds(work) for work in works] for _ in range(repeats)]
    times = [[took for took, _ in each] for each in rounds]
    return [median(column) for column in zip(*times, strict=True)], [result for _, result in rounds[-1]]


def process_seconds(words: Sequence[str], folder: Path = ROOT) -> float:
    """Processor seconds, of user and system, of ``python WORDS`` in a folder, by its ``.venv``, with one thread.

    Raises:
        SystemExit: with what the command printed, where it fails.
    """
    own = folder / ".venv" / "bin" / "python"
    command = [str(own) if own.exists() else sys.executable, "-W", "ignore", *words]
    with tempfile.TemporaryFile() as printed:
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, cwd=folder, env=one_thread, stdout=printed, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            raise SystemExit(f"{printed.read().decode()}error: exit code {process.returncode} of {shlex.join(command)}")
    return used.ru_utime + used.ru_stime


def in_turns(
    commands_before: Sequence[Sequence[str]], commands_after: Sequence[Sequence[str]], repeats: int, before: Path
) -> list[tuple[float, float]]:
    """Median processor seconds of pairs of commands, in turns: one in the folder ``before``, one in this repository.

    A command is what follows ``python``; see :func:`process_seconds`.
    """
    pairs = list(zip(commands_before, commands_after, strict=True))
    rounds = [[(process_seconds(old, before), process_seconds(new)) for old, new in pairs] for _ in range(repeats)]
    by_pair = [zip(*times, strict=True) for times in zip(*rounds, strict=True)]
    return [(median(old), median(new)) for old, new in by_pair]


def peak_gib() -> float:
    """Peak memory: of the accelerator, else of this process."""
    if single_device().type != "cpu":
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def show(title: str, rows: Sequence[Timing], heads: tuple[str, str] = ("before s", "after s")) -> None:
    """Print rows as a table."""
    print(f"\n{title:58}{heads[0]:>12}{heads[1]:>12}{'ratio':>8}  note")
    for row in rows:
        cells = [f"{value:.4g}" if value is not None else "" for value in (row.before, row.after, row.ratio)]
        print(f"{row.case:58}{cells[0]:>12}{cells[1]:>12}{cells[2]:>8}  {row.note}", flush=True)


def save(path: Path, tables: Mapping[str, Sequence[Timing]]) -> None:
    """Write all tables as JSON, with the kind of machine."""
    device = single_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} CPU thread(s)"
    about = {"device": name, "torch": torch.__version__}
    listed = {title: [{**row._asdict(), "ratio": row.ratio} for row in rows] for title, rows in tables.items()}
    path.write_text(json.dumps({"machine": about, "tables": listed}, indent=1))

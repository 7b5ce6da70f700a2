"""The parts of the check: ``python -m tools.checks.gpu.parts NAME FOLDER`` runs one, in its own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from tools.bench.stitching import PUBLISHED
from tools.checks.findings import Finding
from tools.checks.gpu.gpu_tests import marked, run_tests
from tools.checks.gpu.recipes import recipes
from tools.checks.gpu.recorded import recorded
from tools.checks.gpu.stitched import stitched
from tools.checks.gpu.training import BATCHES, learning, speed
from tools.repository import bundle_names

Job = tuple[str, Callable[[], list[Finding]]]
"""The name of a case, and the work that gives its rows."""
FEW = {"phantoms::cases": 3}
IN_ALL_BATCHES = "mr2ct_pix2pix"
"""The bundle whose step is measured at each batch size. Of one 3-D patch batch norm may be undefined, and 64 of
them need too much memory."""
STEPS = 200
LEARNING_S = 20.0
"""Limit for the steps of one bundle."""


def _tests(folder: Path) -> list[Job]:
    return [("pytest", partial(run_tests, marked(), folder / "tests.xml"))]


def _recorded(folder: Path) -> list[Job]:
    return [(str(recipe), partial(recorded, recipe, folder / "toy")) for recipe in recipes()]


def _speed(folder: Path) -> list[Job]:
    sizes = {bundle: BATCHES if bundle == IN_ALL_BATCHES else BATCHES[1:2] for bundle in bundle_names()}
    data = folder / "published"
    return [(name, partial(speed, name, "published", data, counts, 10, **FEW)) for name, counts in sizes.items()]


def _stitching(folder: Path) -> list[Job]:
    return [("volumes", partial(stitched, (64, 64, 64), PUBLISHED, 8, batch_size=65))]


def _learning(folder: Path) -> list[Job]:
    data = folder / "published"
    return [(name, partial(learning, name, "published", data, STEPS, LEARNING_S, **FEW)) for name in bundle_names()]


PARTS: dict[str, Callable[[Path], list[Job]]] = {
    "tests": _tests,
    "recorded": _recorded,
    "speed": _speed,
    "stitching": _stitching,
    "learning": _learning,
}
LIMITS_S = {"tests": 60, "recorded": 120, "speed": 100, "stitching": 60, "learning": 125}
"""Of each part; less than eight minutes together."""


def run_jobs(part: str, jobs: Iterable[Job], rows: Path) -> None:
    """Do the work of each job and append its rows to a file at once; one that fails is a row and ends no other."""
    for case, work in jobs:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            found = work()
        except (Exception, SystemExit) as error:  # whatever fails on a GPU that nothing has run on before
            lines = str(error).strip().splitlines() or ["no message"]
            found = [Finding.failed(part, case, f"{type(error).__name__}: {lines[0]}")]
        with rows.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)


def read_rows(rows: Path) -> list[Finding]:
    """What :func:`run_jobs` has written so far; a line that was cut off by the end of its process is left out."""
    lines = rows.read_text().splitlines(keepends=True) if rows.exists() else []
    return [Finding(*json.loads(line)) for line in lines if line.endswith("\n")]


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_jobs(sys.argv[1], PARTS[sys.argv[1]](Path(sys.argv[2])), Path(sys.argv[2], f"{sys.argv[1]}.jsonl"))

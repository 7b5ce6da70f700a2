"""The parts of the check: ``python -m tools.checks.gpu.parts NAME FOLDER [BUNDLE]`` runs one, in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import torch

from tools.bench.clock import Timing, peak_gib
from tools.checks.findings import CheckFinding
from tools.checks.gpu import stitching
from tools.checks.gpu.recipes import GpuRecipe, recipes
from tools.checks.gpu.recorded import recorded
from tools.checks.gpu.training import PRECISION, learning, speed
from tools.repository import ROOT, bundle_names

Job = tuple[str, Callable[[], list[CheckFinding]]]
"""The name of a case, and the work that gives its rows."""
FEW = {"phantoms::cases": 3}
STEPS = 200
LEARNING_S = 15.0
"""Limit for the steps of one bundle."""
LARGE, STRIDE = (128, 160, 160), 16
"""Volume of the published depth, and its stride."""
MARK = "pytest.mark.gpu"
DIFFERENCE = 1e-4
"""Largest difference from MONAI's sliding window, relative to the largest value: rounding of spectra in 32 bits."""


def marked() -> list[Path]:
    """Test files that hold a test marked as needing a GPU."""
    return sorted(path for path in (ROOT / "tests").rglob("test_*.py") if f"@{MARK}\n" in path.read_text())


def run_tests(files: Sequence[Path], report: Path) -> list[CheckFinding]:
    """Run the marked tests of these files alone, whose report pytest writes; none may be skipped."""
    words = ["-q", "-m", "gpu", f"--junitxml={report}", *map(str, files)]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    found = [_outcome(case) for case in ElementTree.parse(report).iter("testcase")] if report.exists() else []
    said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
    return found or [CheckFinding.failed("tests", "pytest", said[-1])]


def _outcome(case: ElementTree.Element) -> CheckFinding:
    bad = [part for part in case if part.tag in ("failure", "error", "skipped")]
    name = f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}"
    message = " ".join((bad[0].get("message") or "").split())[:200] if bad else ""
    return CheckFinding("tests", name, bad[0].tag if bad else "passed", "passes", not bad, message)


def stitched(
    small: tuple[int, int, int], large: tuple[int, int, int], stride: int, batch_size: int
) -> list[CheckFinding]:
    """A small volume compared with MONAI, and a large one in both modes."""
    with torch.no_grad():
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # whose convolutions round to ten bits
            row = stitching.against_monai(small, 16, 4)
        return [agrees(row, DIFFERENCE), _timed(row), _timed(stitching.modes(large, stride, batch_size))]


def agrees(row: Timing, limit: float) -> CheckFinding:
    """The row of a comparison whose results must be equal."""
    difference = float(row.note.removeprefix("difference "))
    return CheckFinding("stitching", row.case, f"{difference:.1e}", f"difference <= {limit:.0e}", difference <= limit)


def _timed(row: Timing) -> CheckFinding:
    measured = f"{row.before:.3g} s -> {row.after:.3g} s, x{row.ratio:.2f}"
    return CheckFinding("stitching", row.case, measured, note=f"peak memory {peak_gib():.2f} GiB")


def _tests(folder: Path) -> list[Job]:
    return [("pytest", partial(run_tests, marked(), folder / "tests.xml"))]


def _recorded(folder: Path) -> list[Job]:
    data = folder / "toy"
    jobs: list[Job] = [(str(recipe), partial(recorded, recipe, data)) for recipe in recipes()]
    half = {PRECISION: "bf16"}
    return [*jobs, *((name, partial(recorded, GpuRecipe(name), data, **half)) for name in bundle_names())]


def _speed(folder: Path) -> list[Job]:
    return [(name, partial(speed, name, "published", folder / "published", **FEW)) for name in bundle_names()]


def _stitching(folder: Path) -> list[Job]:
    return [("volumes", partial(stitched, stitching.CUBE, LARGE, STRIDE, batch_size=65))]


def _learning(folder: Path) -> list[Job]:
    data = folder / "published"
    return [(name, partial(learning, name, "published", data, STEPS, LEARNING_S, **FEW)) for name in bundle_names()]


PARTS: dict[str, Callable[[Path], list[Job]]] = {
    "tests": _tests,
    "recorded": _recorded,
    "learning": _learning,
    "speed": _speed,
    "stitching": _stitching,
}
BY_BUNDLE = ("recorded", "learning")
"""Parts with a process for each bundle."""
TIMED = ("speed", "stitching")
"""Parts during which nothing else runs."""
LIMITS_S = {"tests": 90, "recorded": 90, "learning": 90, "speed": 110, "stitching": 40}
"""Of each part; those that are not timed run at the same time, so that all take four minutes at most."""


def jobs_of(part: str, folder: Path, bundle: str | None = None) -> list[Job]:
    """The cases of a part, or those of one bundle."""
    jobs = PARTS[part](folder)
    return [job for job in jobs if bundle is None or job[0].partition(",")[0] == bundle]


def rows_of(part: str, folder: Path, *bundle: str) -> Path:
    """The file of the rows that a process writes."""
    return folder / f"{'_'.join([part, *bundle])}.jsonl"


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
            found = [CheckFinding.failed(part, case, f"{type(error).__name__}: {lines[0]}")]
        with rows.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)


def read_rows(rows: Path) -> list[CheckFinding]:
    """What :func:`run_jobs` has written so far; a line that was cut off by the end of its process is skipped."""
    lines = rows.read_text().splitlines(keepends=True) if rows.exists() else []
    return [CheckFinding(*json.loads(line)) for line in lines if line.endswith("\n")]


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, folder, *bundle = sys.argv[1:]
    run_jobs(name, jobs_of(name, Path(folder), *bundle), rows_of(name, Path(folder), *bundle))

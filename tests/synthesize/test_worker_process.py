"""The process of the app's jobs: its progress and answers, how it ends, is ended, and started again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import UserError
from medical_image_synthesis import worker_process
from medical_image_synthesis.worker_process import WorkerProcess

SCRIPT = """
import json, subprocess, sys, time
for line in sys.stdin:
    job, arguments = json.loads(line)
    if job == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(json.dumps({"stage": str(child.pid), "share": None}), flush=True)
        time.sleep(600)
    if job == "die":
        sys.exit(3)
    for done in (1, 2):
        print(json.dumps({"stage": "slices", "share": done / 2}), flush=True)
    print(json.dumps({"fault" if job == "fail" else "made": arguments["scan"]}), flush=True)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    (tmp_path / "scripted_worker.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(worker_process, "WORKER", "scripted_worker")
    made = WorkerProcess()
    made.start()
    yield made
    made.close()


def pid(worker: WorkerProcess) -> int:
    assert worker._process is not None
    return worker._process.pid


def test_jobs_are_answered_by_one_process_with_their_progress_and_faults(worker: WorkerProcess) -> None:
    first, seen = pid(worker), []
    scan = {"scan": Path("scan.nii.gz is empty: write it again")}
    assert worker.ask("view", scan, lambda *progress: seen.append(progress)) == str(scan["scan"])
    with pytest.raises(UserError, match=r"^scan\.nii\.gz is empty: write it again$"):
        worker.ask("fail", scan, lambda *_: None)
    worker.start()
    assert seen == [("slices", 0.5), ("slices", 1.0)]
    assert pid(worker) == first


def test_a_process_that_ends_fails_its_job_in_a_line_and_another_is_started(worker: WorkerProcess) -> None:
    said = r"^the inference ended unexpectedly \(exit code 3\): often too little memory; try a smaller scan$"
    first = pid(worker)
    for _ in range(2):  # the second is written to a process that has ended
        with pytest.raises(UserError, match=said):
            worker.ask("die", {}, lambda *_: None)
    worker.start()
    assert pid(worker) != first
    assert worker.ask("view", {"scan": "made"}, lambda *_: None) == "made"


def test_killing_ends_what_the_process_started(worker: WorkerProcess) -> None:
    children: list[int] = []

    def report(stage: str, share: float | None) -> None:
        children.append(int(stage))
        worker.kill()

    with pytest.raises(UserError, match=r"\(signal 9\)"):
        worker.ask("hang", {}, report)
    deadline = time.monotonic() + 60
    while _runs(children[0]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"

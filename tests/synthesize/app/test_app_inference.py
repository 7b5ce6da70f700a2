"""The process of a case: what its lines say of its progress, and how it is ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from medical_image_synthesis.app.inference import CaseProcess, CaseProgress, progress_of


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        ("slices:  42%|####2     | 5/12 [00:03<00:04,  1.6it/s]", CaseProgress("slices", 0.42, 4)),
        ("windows:   0%|          | 0/8 [00:00<?, ?it/s]", CaseProgress("windows", 0.0, None)),
        ("slices: 100%|##########| 9/9 [1:02:03<1:00:01,  1it/s]", CaseProgress("slices", 1.0, 3601)),
        ("t1: accept", CaseProgress("t1: accept")),
        ("  ", None),
    ],
)
def test_the_progress_in_a_line(line: str, progress: CaseProgress | None) -> None:
    assert progress_of(line) == progress


def script(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / "scripted_case.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return "scripted_case"


BARS = """
import sys
from tqdm import tqdm
for _ in tqdm(range(2), desc="slices", disable=None, mininterval=0): pass
print("error: first line")
sys.stderr.write("error: scan.nii.gz is empty: write it again\\n")
sys.exit(2)
"""


def test_bars_and_messages_are_read_and_the_last_error_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[CaseProgress] = []
    process = CaseProcess(script(tmp_path, BARS, monkeypatch), [], seen.append)
    assert process.wait() == 2
    assert process.failure(2) == "scan.nii.gz is empty: write it again"
    assert [each.share for each in seen if each.stage == "slices"][-1] == 1.0


CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(f"child {child.pid}", flush=True)
time.sleep(600)
"""


def test_killing_ends_what_the_process_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []

    def report(progress: CaseProgress) -> None:
        children.append(int(progress.stage.split()[1]))
        process.kill()

    process = CaseProcess(script(tmp_path, CHILD, monkeypatch), [], report)
    assert process.wait() == -9
    assert "signal 9" in process.failure(-9)
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

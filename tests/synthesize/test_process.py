"""Python in a process of its own: exit code and streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.process import run_python
from tools.repository import ROOT

BUNDLE = Bundle("x_y", Path("bundles", "x_y"))


def test_streams_and_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert run_python(BUNDLE, ["-c", program]) == 3
    assert capfd.readouterr() == ("", "out\nerr\n")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 looks into the current folder first")
def test_the_package_is_not_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the clone that it was installed from."""
    (tmp_path / "medical_image_synthesis.py").write_text("import sys; sys.exit(7)")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    program = ["-m", "medical_image_synthesis.bundle_run", "{}"]
    assert run_python(BUNDLE, program) not in (0, 7)
    assert run_python(BUNDLE, ["-c", "import medical_image_synthesis"]) == 0
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("PYTHONPATH")
    assert run_python(BUNDLE, ["-c", "import medical_image_synthesis.bundle_run"]) == 0


@pytest.mark.parametrize(
    ("load", "own", "waiting"), [(0.2, None, None), (1.5, None, "passive"), (1.5, "active", "active")]
)
def test_threads_sleep_while_they_wait_on_a_busy_machine(
    load: float, own: str | None, waiting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0), raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if own:
        monkeypatch.setenv("OMP_WAIT_POLICY", own)
    program = f"import os, sys; sys.exit(os.environ.get('OMP_WAIT_POLICY') != {waiting!r})"
    assert run_python(BUNDLE, ["-c", program]) == 0


def test_a_run_goes_on_where_nobody_reads_its_messages(tmp_path: Path) -> None:
    program = """
import logging, sys
logging.basicConfig(stream=sys.stdout)
from medical_image_synthesis import bundle_run
def run(made):
    for _ in range(10):
        logging.error("a" * 10**5)
    open(made, "x").close()
bundle_run._run = run
bundle_run.main()
"""
    made = tmp_path / "made"
    words = [sys.executable, "-c", program, json.dumps({"made": str(made)})]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert (process.returncode, made.is_file()) == (0, True)

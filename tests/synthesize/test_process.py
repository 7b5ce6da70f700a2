"""Python in a process of its own: exit code, streams, and the final path in the place of a temporary folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.process import message_pipe, read_messages, run_python
from tools.repository import ROOT

BUNDLE = Bundle("x_y", Path("bundles", "x_y"))
NAMED = Path("new", ".ct.nii.gz.a1b2"), Path("new", "ct.nii.gz")


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_bars_are_shown_on_a_terminal_where_a_file_is_named_too() -> None:
    """tqdm asks the process's own stderr."""
    asked = "import sys; print(sys.stderr.isatty(), '.ct.nii.gz.a1b2')"
    program = (
        "from pathlib import Path; from medical_image_synthesis.catalogue import Bundle\n"
        "from medical_image_synthesis.process import run_python\n"
        f"run_python(Bundle('x_y', Path('x_y')), ['-c', {asked!r}], (Path('.ct.nii.gz.a1b2'), Path('ct.nii.gz')))"
    )
    for is_terminal in (True, False):
        reads, writes = message_pipe(80) if is_terminal else os.pipe()
        subprocess.run([sys.executable, "-c", program], stderr=writes, check=True)
        os.close(writes)
        assert read_messages(reads) == f"{is_terminal} ct.nii.gz\n".encode()
        os.close(reads)


def test_the_final_path_is_named_for_the_folder_and_what_lies_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    program = """
import sys
print("> predictions_dir: '/x/new/.ct.nii.gz.a1b2'", flush=True)
sys.stderr.write("slices: 50%\\rnew/.ct.nii.gz.a1b2/a_synthetic_ct.nii.gz: no room; free it")
sys.exit(2)
"""
    assert run_python(BUNDLE, ["-c", program], NAMED) == 2
    expected = "> predictions_dir: '/x/new/ct.nii.gz'\nslices: 50%\rnew/ct.nii.gz: no room; free it"
    assert capsys.readouterr() == ("", expected)


def test_goes_on_where_nobody_reads_its_messages(tmp_path: Path) -> None:
    inner = f"import sys, pathlib; print('a'); print('b' * 10**6); pathlib.Path({str(tmp_path / 'made')!r}).touch()"
    program = f"""
import signal
from pathlib import Path
from medical_image_synthesis.catalogue import Bundle
from medical_image_synthesis.process import message_pipe, read_messages, run_python
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
code = run_python(Bundle("x", Path("x")), ["-c", {inner!r}], (Path("a"), Path("b")))
print(code, signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL)
"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        process.stderr.close()
        assert process.stdout.read() == "0 True\n"
    assert (tmp_path / "made").is_file()
    assert signal.getsignal(signal.SIGPIPE) != signal.SIG_DFL, "of this process nothing has changed"

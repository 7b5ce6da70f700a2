"""Files and folders are there whole, or what stood there before is."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import OutputError
from common.files import write_whole_folder


def fill(text):
    return lambda folder: (folder / "IM0001.dcm").write_text(text)


def test_a_folder_replaces_another_whole(tmp_path):
    target = tmp_path / "new" / "case"
    write_whole_folder(target, fill("first"))
    (target / "left over").touch()
    write_whole_folder(target, fill("second"))
    assert [path.name for path in target.iterdir()] == ["IM0001.dcm"]
    assert (target / "IM0001.dcm").read_text() == "second"
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o755 == 0o755


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(OSError(errno.ENOSPC, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
@pytest.mark.parametrize("existing", [False, True])
def test_failure_midway_leaves_what_was_there(tmp_path, failure, expected, existing):
    target = tmp_path / "case"
    if existing:
        write_whole_folder(target, fill("first"))

    def fail(folder):
        (folder / "IM0001.dcm").write_text("half")
        raise failure

    with pytest.raises(expected, match=r"case: can be written, but got No space left.*; free space|^$"):
        write_whole_folder(target, fail)
    assert list(tmp_path.iterdir()) == ([target] if existing else [])
    if existing:
        assert (target / "IM0001.dcm").read_text() == "first"


def test_a_failure_between_the_two_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    target, rename = tmp_path / "case", Path.rename
    write_whole_folder(target, fill("first"))

    def fail(self, other):
        if self.name == "made":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="case: can be written, but got Input/output error"):
        write_whole_folder(target, fill("second"))
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "IM0001.dcm").read_text() == "first"


@pytest.mark.slow
def test_kill_while_writing_leaves_nothing_at_the_name(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from common.files import write_whole_folder\n"
        "def write(folder):\n"
        "    (folder / 'IM0001.dcm').touch(); print('begun', flush=True); time.sleep(60)\n"
        "write_whole_folder(Path(sys.argv[1]), write)"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "case")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
    assert not (tmp_path / "case").exists()
    write_whole_folder(tmp_path / "case", fill("again"))
    assert (tmp_path / "case" / "IM0001.dcm").read_text() == "again"

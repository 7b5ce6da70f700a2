"""The lock of a run's folder."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from common.errors import ConfigError, OutputError
from common.training.handlers.lock import LOCK_NAME, RunLock


def lock_of(root: Path) -> RunLock:
    return RunLock(root, root / "models")


def test_the_file_names_the_owner_while_the_lock_is_held_and_is_empty_afterwards(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    lock.acquire()
    assert (tmp_path / "models" / LOCK_NAME).read_text().startswith(f"process {os.getpid()} on ")
    lock.release()
    assert (tmp_path / "models" / LOCK_NAME).read_text() == ""
    lock.release()  # nothing is held any more


def test_a_second_run_of_the_same_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    first, second = lock_of(tmp_path), lock_of(tmp_path)
    first.acquire()
    rule = f"is in use by a run of process {os.getpid()} on "
    with pytest.raises(ConfigError, match=rule):
        second.acquire()
    second.release()  # what it does not hold stays
    with pytest.raises(ConfigError, match=rule):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_another_thread_may_release(tmp_path: Path) -> None:
    first = lock_of(tmp_path)
    first.acquire()
    thread = threading.Thread(target=first.release)
    thread.start()
    thread.join()
    second = lock_of(tmp_path)
    second.acquire()
    second.release()


def test_releasing_a_folder_that_was_removed_is_no_error(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    lock.acquire()
    shutil.rmtree(tmp_path / "models")
    lock.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(OutputError, match=r"cannot write .*models \(File exists\): pass another --output_dir"):
        lock_of(tmp_path).acquire()

"""The lock of a run's folder, and checkpoints that are written in the background."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from common.errors import ConfigError, OutputError
from common.training.handlers.checkpoint_saver import AsyncSaver
from common.training.handlers.lock import RunLock
from common.weights import checkpoints


def lock_of(root: Path) -> RunLock:
    return RunLock(root, root / "models")


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


def test_what_changes_later_is_not_written(tmp_path, monkeypatch):
    gate, write = threading.Event(), checkpoints.save
    monkeypatch.setattr(checkpoints, "save", lambda *given: (gate.wait(600), write(*given)))
    weight = torch.ones(3)
    saver = AsyncSaver()
    saver.save({"networks": {"weight": weight, "steps": [1, weight]}, "name": "a"}, tmp_path / "last.pt")
    weight.fill_(7)  # the next step
    assert not (tmp_path / "last.pt").exists()
    gate.set()
    saver.settle()
    saved = checkpoints.load(tmp_path / "last.pt")
    assert saved["networks"]["weight"].tolist() == [1, 1, 1]
    assert saved["networks"]["steps"][1].tolist() == [1, 1, 1]
    assert saved["name"] == "a"


def test_the_later_of_two_stays(tmp_path):
    saver = AsyncSaver()
    for number in range(5):
        saver.save({"step": number}, tmp_path / "last.pt")
    saver.settle()
    assert checkpoints.load(tmp_path / "last.pt") == {"step": 4}
    saver.settle()  # nothing is left to wait for


@pytest.mark.parametrize("then", ["save", "settle"])
def test_a_failed_write_is_reported_by_the_next_call(tmp_path, then):
    (tmp_path / "models").write_text("a file where a folder should be")
    saver = AsyncSaver()
    saver.save({"step": 1}, tmp_path / "models" / "last.pt")
    with pytest.raises(OutputError, match=r"cannot write .*last.pt \("):
        saver.save({"step": 2}, tmp_path / "other.pt") if then == "save" else saver.settle()
    saver.settle()  # reported once

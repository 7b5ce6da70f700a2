"""The spool of a node on its own: what is left by a step that broke off, a clock, a disk, a hand."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import OutputError
from medical_image_synthesis.node.spool import INTERRUPTED, RUNNING, Instance, Job, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", 1e9, 0)
    yield made
    made.close()


def instance(name: str = "1", content: str = "a", series: str = "s", expected: int | None = None) -> Instance:
    return Instance(series, name, content * 64, expected, content.encode())


def put(spool: Spool, *instances: Instance) -> None:
    for each in instances:
        spool.receive(each, "SYNTHESIZE", 10)


def queued(spool: Spool) -> Job:
    """A job that is running."""
    put(spool, instance())
    assert spool.queue("s", "route", "pacs")
    job = spool.next()
    assert job is not None
    return job


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock."""
    now = time.time() + seconds
    monkeypatch.setattr(time, "time", lambda: now)


def test_a_running_job_whose_step_broke_off_is_run_again(spool: Spool) -> None:
    job = queued(spool)
    assert spool.counts()["running"] == 1
    again = spool.next()
    assert again is not None
    assert (again.id, again.state) == (job.id, RUNNING)


def test_a_job_of_the_time_before_the_clock_was_set_back_is_due(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.later(queued(spool), "queued", 100, "")
    assert spool.next() is None
    later(monkeypatch, -86_400)
    assert spool.next() is not None


def test_a_series_is_complete_although_the_clock_was_set_back(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, instance())
    assert spool.complete(10, frozenset()) == []
    later(monkeypatch, -86_400)
    assert spool.complete(10, frozenset()) == ["s"]


def test_a_series_stays_open_whose_instance_comes_while_it_is_looked_for(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(spool, instance())
    read = spool._rows

    def after_another(query: str, *values: object) -> list[sqlite3.Row]:
        monkeypatch.undo()
        put(spool, instance("2"))
        return read(query, *values)

    monkeypatch.setattr(spool, "_rows", after_another)
    assert spool.complete(10, frozenset({"s"})) == []


@pytest.mark.parametrize(("released", "still_open"), [(True, {"s"}), (False, {"s"}), (False, set())])
def test_an_association_that_stays_open_or_was_cut_holds_a_series_back_for_a_while(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, released: bool, still_open: set[str]
) -> None:
    put(spool, instance())
    if released:
        spool.released(["s"])
    later(monkeypatch, 10 * INTERRUPTED - 1)
    assert spool.complete(10, frozenset(still_open)) == []
    later(monkeypatch, 2)
    assert spool.complete(10, frozenset(still_open)) == ["s"]


def test_a_count_that_is_wrong_is_waited_out(spool: Spool) -> None:
    put(spool, instance("1", expected=2))
    assert spool.complete(10, frozenset()) == []
    put(spool, instance("2", expected=2))
    assert spool.complete(10, frozenset()) == ["s"]
    put(spool, instance("3", expected=2))
    assert spool.complete(10, frozenset()) == []


def test_a_changed_instance_that_was_not_acknowledged_does_not_replace_the_one_before(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(spool, instance(content="a"))
    with monkeypatch.context() as full:
        full.setattr(spool, "_touch", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk is full")))
        with pytest.raises(sqlite3.OperationalError):
            put(spool, instance(content="b"))
    assert spool.queue("s", "route", "pacs")
    assert [path.read_bytes() for path in spool.files("s")] == [b"a"]
    put(spool, instance(content="b"))
    assert spool.queue("s", "route", "pacs")
    assert [path.read_bytes() for path in spool.files("s")] == [b"b"]


def test_a_series_whose_folder_was_deleted_comes_again(spool: Spool) -> None:
    put(spool, instance())
    spool.files("s")[0].unlink()
    (spool.incoming / "s").rmdir()
    spool.leave("s")
    assert spool.counts()["unrouted"] == 1
    put(spool, instance())
    assert [path.read_bytes() for path in spool.files("s")] == [b"a"]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(4096)])
def test_a_damaged_database_is_named_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "node.sqlite3").write_bytes(content)
    with pytest.raises(OutputError, match="is in use, or damaged"):
        Spool(tmp_path, 1e9, 0)

"""What a node has received and made: files in a folder that only its owner may read, their state in SQLite.

A file is renamed to its name when it is on disk, and only then its row is written; an instance is acknowledged after
both. So the end of the process at any moment loses nothing that was acknowledged, and repeats at most a piece of work,
whose result has the same UIDs. The names of folders and files are hashes of UIDs; the database holds no header.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from common.errors import OutputError
from common.files import to_disk

DAY, GB = 86_400.0, 10**9
REMEMBERED = 90 * DAY
"""How long a series that comes again is recognised, in seconds."""
INTERRUPTED = 30
"""Times the quiet after which a series counts as complete whose association was cut, or sends only others."""
LONGEST_DUE = 3600.0
"""Seconds after which every job is due: one that is due later was put off before the clock was set back."""
RECEIVING, COMPLETE, UNROUTED, EMPTIED = "receiving", "complete", "unrouted", "emptied"
QUEUED, RUNNING, MADE = "queued", "running", "made"
SENT, REFUSED, FAILED, SUPERSEDED = "sent", "refused", "failed", "superseded"
ACTIVE, ENDED = (QUEUED, RUNNING, MADE), (SENT, REFUSED, FAILED, SUPERSEDED)
PART = ".part-"
SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id TEXT PRIMARY KEY, called TEXT NOT NULL, state TEXT NOT NULL, changed REAL NOT NULL,
    expected INTEGER, interrupted INTEGER NOT NULL, repeats INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS instance (
    series TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (series, name));
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY, series TEXT NOT NULL, key TEXT NOT NULL UNIQUE, destination TEXT NOT NULL,
    state TEXT NOT NULL, outcome TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, changed REAL NOT NULL);
CREATE INDEX IF NOT EXISTS job_of_state ON job (state, due);
"""


class Instance(NamedTuple):
    """A received instance: ids of its series and itself, hash of what it says, announced count of its series, file."""

    series: str
    name: str
    digest: str
    expected: int | None
    data: bytes


class Job(NamedTuple):
    """What is made of a series: its number, series, destination, and how often it was tried."""

    id: int
    series: str
    key: str
    destination: str
    state: str
    outcome: str
    message: str
    attempts: int
    due: float
    changed: float


class FullError(OutputError):
    """The spool or its disk has no room."""


def short_hash(*parts: str) -> str:
    """A name for what must not be named, such as UIDs."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


class Spool:
    """The folder of a node: ``incoming/SERIES/INSTANCE.dcm``, ``outgoing/JOB/...``, ``work``, and ``node.sqlite3``.

    Args:
        root: is made if it is not there; only its owner may read it.
        most_bytes: of all received files.
        free_bytes: that the disk keeps.

    Raises:
        OutputError: another node has it, or it cannot be written.
    """

    def __init__(self, root: Path, most_bytes: float, free_bytes: float) -> None:
        self.root, self.most_bytes, self.free_bytes = root, most_bytes, free_bytes
        self.incoming, self.outgoing, self.work = (root / name for name in ("incoming", "outgoing", "work"))
        try:
            for folder in (root, self.incoming, self.outgoing, self.work):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise OutputError(
                f"cannot write to the spool {root} ({error.strerror})", "choose another folder"
            ) from error
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(
                root / "node.sqlite3", isolation_level=None, check_same_thread=False, timeout=1
            )
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")  # a second node on the same spool finds it locked
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(f"BEGIN EXCLUSIVE;{SCHEMA}COMMIT;")
            self._resume()
            self._bytes = self._held()
        except sqlite3.Error as error:
            raise OutputError(
                f"the spool {root} is in use, or damaged ({error})", "end the other node, or name another folder"
            ) from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _resume(self) -> None:
        """Delete what the process before this one was writing, and wait again for the rest of its series."""
        for left in (*self.incoming.glob(f"{PART}*"), *self.work.iterdir()):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)  # its worker may be ending
            else:
                left.unlink(missing_ok=True)
        with self._changing() as database:
            database.execute("UPDATE series SET changed = ? WHERE state = ?", (time.time(), RECEIVING))

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    # ---------------------------------------------------------------- receiving

    def require_room(self, size: int) -> None:
        """Refuse what the spool or its disk cannot take.

        Raises:
            FullError: there is no room.
        """
        if self._bytes + size > self.most_bytes:
            raise FullError(f"the spool holds {self._bytes / GB:.3g} GB", "raise limits: spool_gb, or wait")
        self.require_disk(size)

    def require_disk(self, size: int) -> None:
        """Refuse what the disk cannot take.

        Raises:
            FullError: there is no room.
            OSError: the spool is gone.
        """
        if shutil.disk_usage(self.root).free - size < self.free_bytes:
            raise FullError(f"the disk of {self.root} is full", "free some of it")

    def receive(self, instance: Instance, called: str, most: int) -> bool:
        """Store an instance; whether it is new, or changed. When this returns it is on disk.

        Args:
            instance: with its file.
            called: AE title that its sender called.
            most: instances of a series.

        Raises:
            FullError: there is no room for it.
            OutputError: its series is too long.
            OSError, sqlite3.Error: the disk is full or damaged.
        """
        self.require_room(len(instance.data))
        path = self.incoming / instance.series / _file(instance.name, instance.digest)
        own = "series = ? AND name = ?"
        with self._changing():  # so that nothing is deleted meanwhile
            known = self._rows(f"SELECT digest FROM instance WHERE {own}", instance.series, instance.name)
            if known and known[0]["digest"] == instance.digest and path.is_file():
                self._touch(instance, called)
                return False
            if not known and self._number(instance.series) >= most:
                raise OutputError(f"a series of more than {most} instances", "raise limits: instances")
        part = self.incoming / f"{PART}{secrets.token_hex(8)}"
        try:
            _write(part, instance.data)
            with self._changing() as database:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                os.replace(part, path)
                to_disk(path.parent)
                before = self._held(own, instance.series, instance.name)
                database.execute(
                    "INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?)",
                    (instance.series, instance.name, instance.digest, len(instance.data)),
                )
                self._touch(instance, called)
                database.execute(
                    f"UPDATE job SET state = ?, changed = ? WHERE series = ? AND state IN {ACTIVE}",
                    (SUPERSEDED, time.time(), instance.series),
                )
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._bytes += len(instance.data) - before
        return True

    def _held(self, where: str = "TRUE", *values: str) -> int:
        """Bytes of the instances of which this is true."""
        (held,) = self._rows(f"SELECT COALESCE(SUM(size), 0) AS n FROM instance WHERE {where}", *values)
        return int(held["n"])

    def _number(self, series: str) -> int:
        """Instances of a series."""
        (there,) = self._rows("SELECT COUNT(*) AS n FROM instance WHERE series = ?", series)
        return int(there["n"])

    def _touch(self, instance: Instance, called: str) -> None:
        with self._lock:
            self._database.execute(
                "INSERT INTO series (id, called, state, changed, expected, interrupted) VALUES (?, ?, ?, ?, ?, 1)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state, changed = excluded.changed,"
                " called = excluded.called, expected = excluded.expected, interrupted = 1",
                (instance.series, called, RECEIVING, time.time(), instance.expected),
            )

    def released(self, series: Sequence[str]) -> None:
        """Note that an association in which these series came has ended in order."""
        with self._changing() as database:
            for each in series:
                database.execute(
                    "UPDATE series SET interrupted = 0, changed = ? WHERE id = ? AND state = ?",
                    (time.time(), each, RECEIVING),
                )

    def complete(self, quiet: float, still_open: frozenset[str]) -> list[str]:
        """Series of which no more is expected: all of them are there, or nothing came for a while.

        Args:
            quiet: seconds.
            still_open: series of which an association that is open has sent.
        """
        rows, found = self._rows("SELECT * FROM series WHERE state = ?", RECEIVING), []
        now = time.time()  # not before: what came while the query waited would be of the future
        for row in rows:
            longer = row["interrupted"] or row["id"] in still_open
            waits = 0 <= now - row["changed"] <= quiet * (INTERRUPTED if longer else 1)  # unless the clock was set back
            if not waits or row["expected"] == self._number(row["id"]):
                found.append(str(row["id"]))
        return found

    def _end_receiving(self, series: str, state: str) -> None:
        """Mark a series, and delete what was replaced, or neither acknowledged nor sent again."""
        with self._lock:
            rows = self._rows("SELECT name, digest FROM instance WHERE series = ?", series)
            held = {_file(row["name"], row["digest"]) for row in rows}
            for path in self.files(series):
                if path.name not in held:
                    path.unlink()
            self._database.execute(
                "UPDATE series SET state = ?, changed = ? WHERE id = ?", (state, time.time(), series)
            )

    # ---------------------------------------------------------------- jobs

    def files(self, series: str) -> list[Path]:
        """The files of a series."""
        return sorted((self.incoming / series).glob("*.dcm"))

    def called(self, series: str) -> str:
        """The AE title that its sender called."""
        return str(self._rows("SELECT called FROM series WHERE id = ?", series)[0]["called"])

    def leave(self, series: str) -> None:
        """Mark a series as one that no route takes."""
        with self._changing():
            self._end_receiving(series, UNROUTED)

    def queue(self, series: str, route: str, destination: str) -> bool:
        """Mark a series as complete, and queue it unless the same was translated before; whether it was queued."""
        now = time.time()
        with self._changing() as database:
            self._end_receiving(series, COMPLETE)
            rows = self._rows("SELECT name, digest FROM instance WHERE series = ? ORDER BY name", series)
            key = short_hash(series, route, *(part for row in rows for part in row))
            known = database.execute("SELECT id, state FROM job WHERE key = ?", (key,)).fetchone()
            if known is None:
                database.execute(
                    "INSERT INTO job (series, key, destination, state, due, changed) VALUES (?, ?, ?, ?, ?, ?)",
                    (series, key, destination, QUEUED, now, now),
                )
                return True
            if known["state"] in (FAILED, SUPERSEDED):  # the user tries again, or has taken an instance back
                database.execute(
                    "UPDATE job SET state = ?, outcome = '', message = '', attempts = 0, due = ?, changed = ?"
                    " WHERE id = ?",
                    (QUEUED, now, now, known["id"]),
                )
                return True
            database.execute("UPDATE series SET repeats = repeats + 1 WHERE id = ?", (series,))
        return False

    def next(self, destination: str | None = None) -> Job | None:
        """The first job that is due: to be sent to a destination, or to be inferred, which is then running.

        One thread alone may infer: a job that runs without it was left by a process or a step that has ended.
        """
        now = time.time()
        which = f"IN {(QUEUED, RUNNING)}" if destination is None else f"= '{MADE}' AND destination = ?"
        values = [] if destination is None else [destination]
        with self._changing() as database:
            row = database.execute(
                f"SELECT * FROM job WHERE state {which} AND due NOT BETWEEN ? AND ? ORDER BY due, id LIMIT 1",
                (*values, now, now + LONGEST_DUE),
            ).fetchone()
            if row is None:
                return None
            if destination is None:
                database.execute("UPDATE job SET state = ? WHERE id = ?", (RUNNING, row["id"]))
        return Job(*row)

    def made(self, job: Job, folder: Path, outcome: str, message: str = "") -> bool:
        """Take over what was made of a running job, to be sent; whether it was still wanted."""
        place = self.outgoing / str(job.id)
        for path in folder.rglob("*"):
            to_disk(path)
        with self._changing() as database:
            if not self._is(job, RUNNING):
                shutil.rmtree(folder, ignore_errors=True)
                return False
            shutil.rmtree(place, ignore_errors=True)
            os.replace(folder, place)
            to_disk(self.outgoing)
            database.execute(
                "UPDATE job SET state = ?, outcome = ?, message = ?, attempts = 0, due = ?, changed = ? WHERE id = ?",
                (MADE, outcome, message, time.time(), time.time(), job.id),
            )
        return True

    def end(self, job: Job, state: str, message: str = "") -> None:
        """End a job, unless something newer has taken its place."""
        with self._changing() as database:
            database.execute(
                f"UPDATE job SET state = ?, message = ?, changed = ? WHERE id = ? AND state IN {ACTIVE}",
                (state, message, time.time(), job.id),
            )

    def later(self, job: Job, state: str, seconds: float, message: str) -> None:
        """Try a job again after some seconds, in this state."""
        with self._changing() as database:
            database.execute(
                "UPDATE job SET state = ?, attempts = attempts + 1, due = ?, message = ?"
                f" WHERE id = ? AND state IN {ACTIVE}",
                (state, time.time() + seconds, message, job.id),
            )

    def _is(self, job: Job, state: str) -> bool:
        return bool(self._rows("SELECT 1 FROM job WHERE id = ? AND state = ?", job.id, state))

    def outgoing_files(self, job: Job) -> list[Path]:
        """The DICOM files that were made."""
        return sorted((self.outgoing / str(job.id)).rglob("*.dcm"))

    def fail_without(self, destinations: Sequence[str]) -> None:
        """End the jobs whose destination is none of these."""
        for row in self._rows(f"SELECT * FROM job WHERE state IN {ACTIVE}"):
            if row["destination"] not in destinations:
                self.end(Job(*row), FAILED, f"its destination {row['destination']} is not configured any more")

    # ---------------------------------------------------------------- state

    def counts(self) -> dict[str, int]:
        """Series and jobs by their state."""
        of_jobs, of_series = (
            Counter(
                {row["state"]: row["n"] for row in self._rows(f"SELECT state, COUNT(*) AS n FROM {table} GROUP BY 1")}
            )
            for table in ("job", "series")
        )
        (repeats,) = self._rows("SELECT COALESCE(SUM(repeats), 0) AS n FROM series")
        working = {RECEIVING: of_series[RECEIVING], QUEUED: of_jobs[QUEUED], RUNNING: of_jobs[RUNNING]}
        ended = {state: of_jobs[state] for state in ENDED}
        return {**working, "sending": of_jobs[MADE], **ended, "duplicate": repeats["n"], UNROUTED: of_series[UNROUTED]}

    def faults(self, most: int = 20) -> list[Mapping[str, Any]]:
        """The last jobs that failed, were refused or wait to be tried again, with the reason."""
        query = "SELECT series, state, message, attempts FROM job WHERE message != '' ORDER BY changed DESC LIMIT ?"
        return [dict(row) for row in self._rows(query, most)]

    def empty(self, keep: float) -> int:
        """Delete the files of what ended more than ``keep`` seconds ago, and forget what is older; how many series."""
        now, emptied = time.time(), 0
        for row in self._rows(f"SELECT id FROM job WHERE state IN {ENDED} AND changed < ?", now - keep):
            shutil.rmtree(self.outgoing / str(row["id"]), ignore_errors=True)
        query = f"""SELECT id FROM series WHERE state IN {(COMPLETE, UNROUTED)} AND changed < ? AND NOT EXISTS
            (SELECT 1 FROM job WHERE job.series = series.id AND (state IN {ACTIVE} OR job.changed >= ?))"""
        for row in self._rows(query, now - keep, now - keep):
            with self._changing() as database:
                if not self._rows(f"SELECT 1 FROM series WHERE id = ? AND state IN {(COMPLETE, UNROUTED)}", row["id"]):
                    continue  # it has come again
                held = self._held("series = ?", row["id"])
                shutil.rmtree(self.incoming / str(row["id"]), ignore_errors=True)
                database.execute("DELETE FROM instance WHERE series = ?", (row["id"],))
                database.execute("UPDATE series SET state = ? WHERE id = ?", (EMPTIED, row["id"]))
                self._bytes -= held
                emptied += 1
        with self._changing() as database:
            database.execute(f"DELETE FROM job WHERE state IN {ENDED} AND changed < ?", (now - REMEMBERED - keep,))
            database.execute("DELETE FROM series WHERE state = ? AND changed < ?", (EMPTIED, now - REMEMBERED - keep))
        return emptied


def _file(name: str, digest: str) -> str:
    """That of an instance: a changed one never overwrites what was acknowledged."""
    return f"{name}.{digest[:16]}.dcm"


def _write(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, and wait until it is on disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

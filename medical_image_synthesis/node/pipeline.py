"""From a complete series to its result in the archive: routes, inference, delivery, and what is tried again."""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from common.errors import Refused, UserError
from common.io.dicom.reading.headers import why_ignored
from common.io.dicom.writing.derived import write_slices
from common.io.dicom.writing.notice import notice
from common.io.dicom.writing.template import SYNTHETIC_DATA
from medical_image_synthesis.node.delivery import NotDeliveredError, deliver
from medical_image_synthesis.node.receiver import Receiver
from medical_image_synthesis.node.settings import IMAGE, NodeSettings, Route
from medical_image_synthesis.node.spool import DAY, FAILED, MADE, QUEUED, REFUSED, SENT, FullError, Job, Spool
from medical_image_synthesis.worker_process import WorkerEndedError, WorkerProcess

log = logging.getLogger(__name__)
TICK = 0.25
"""Seconds between two looks."""
EMPTYING = 60.0
"""Seconds between two looks for what may be deleted."""
FIRST_WAIT, LONGEST_WAIT = 10.0, 1800.0
"""Seconds after which a failed delivery is tried again: twice as long each time, up to the longest."""
MOST_TRIES = 3
"""Of an inference whose process has ended."""
MODELS = 4
"""Loaded at once."""
UID = re.compile(r"\d+(?:\.\d+){5,}")
STORED = re.compile(r"[0-9a-f]{24}\.[0-9a-f]{16}\.dcm")
"""A file of the spool."""
OPTION = re.compile(r"--(\w+) (\w+)")
"""Of the command line, in a remedy."""
NEEDED = 2 * 10**9
"""Bytes of the disk that a case needs."""
OF_SERIES = {"modality": "Modality", "body_part": "BodyPartExamined", "description": "SeriesDescription"}


class Pipeline:
    """The threads of a node between its door and the archives.

    Args:
        settings: routes and destinations.
        spool: that is worked on.
        receiver: which knows what is still coming.
    """

    def __init__(self, settings: NodeSettings, spool: Spool, receiver: Receiver, worker: WorkerProcess) -> None:
        self.settings, self.spool, self.receiver, self.worker = settings, spool, receiver, worker
        self._stop = threading.Event()
        self.away: dict[str, str] = {}
        """Why a destination took nothing at its last try, by its name."""
        self._emptied = 0.0
        spool.fail_without(list(settings.destinations))
        loops: dict[str, Callable[[], bool]] = {"routes": self._route_complete, "inference": self._infer_next}
        loops |= {f"delivery to {name}": partial(self._send_next, name) for name in settings.destinations}
        self._threads = [
            threading.Thread(target=self._repeat, args=(name, step), name=name, daemon=True)
            for name, step in loops.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the threads; a case that is inferred is begun again at the next start."""
        self._stop.set()
        self.worker.kill()
        for thread in self._threads:
            thread.join(timeout=5)

    @property
    def fault(self) -> str | None:
        """What keeps the node from its work; None where nothing does."""
        if dead := [thread.name for thread in self._threads if not thread.is_alive()]:
            return f"{dead[0]} has ended: start the node again"
        try:
            self.spool.require_room(0)
            self.spool.require_disk(NEEDED)
        except FullError as error:
            return str(error)
        except OSError as error:
            return f"the spool is gone ({error.strerror})"
        return None

    def _repeat(self, name: str, step: Callable[[], bool]) -> None:
        """Take steps until the end; after one that did nothing, or failed, wait."""
        while not self._stop.is_set():
            try:
                pause = 0 if step() else TICK
            except (OSError, sqlite3.Error, UserError) as error:  # a full disk: all states stay as they are
                log.error("%s: %s", name, getattr(error, "strerror", None) or error)
                pause = FIRST_WAIT
            except Exception as error:  # a fault of the node must not end it; its text may quote a header
                log.error("%s: unexpected %s", name, type(error).__name__)
                pause = FIRST_WAIT
            self._stop.wait(pause)

    # ---------------------------------------------------------------- routes

    def _route_complete(self) -> bool:
        if time.monotonic() - self._emptied > EMPTYING:
            self._emptied = time.monotonic()
            if emptied := self.spool.empty(3600 * self.settings.keep_hours):
                log.info("deleted the files of %d series", emptied)
        fault: Exception | None = None
        for series in self.spool.complete(self.settings.quiet_seconds, self.receiver.still_open):
            try:
                self._queue(series)
            except Exception as error:  # of one series, which must not keep the others
                fault = error
        if fault is not None:
            raise fault
        return False

    def _queue(self, series: str) -> None:
        files = self.spool.files(series)
        if self.receiver.lacks_some(series):  # a part of a volume is none; the sender knows, and sends it again
            self.spool.leave(series)
            log.error("series %s: an instance was refused, not translated", series)
            return
        route = self._route_of(series)
        if route is None:
            self.spool.leave(series)
            header = self._header(series) or Dataset()
            what = (header.get("Modality"), header.get("BodyPartExamined"))  # of a description nobody knows what it has
            log.info(
                "series %s: %d instances, no route takes it (modality %s, body part %s)", series, len(files), *what
            )
        elif self.spool.queue(series, route.key, route.to):
            log.info("series %s: %d instances, queued for %s", series, len(files), route.bundle.short)
        else:
            log.info("series %s: %d instances, translated before", series, len(files))

    def _route_of(self, series: str) -> Route | None:
        """The first route of a series; none of one without slices, synthetic itself, or a page as the node's own."""
        header = self._header(series)
        if header is None or why_ignored(header) or header.get("SOPClassUID") == SecondaryCaptureImageStorage:
            return None  # an archive that forwards all it gets would be sent pages about pages for ever
        if SYNTHETIC_DATA in header and header[SYNTHETIC_DATA].value == "YES":
            return None
        found = {}
        for name, keyword in OF_SERIES.items():
            with suppress(Exception):  # a damaged value meets no condition
                found[name] = str(header.get(keyword) or "")
        called = self.spool.called(series)
        return next((route for route in self.settings.routes if route.matches(called, found)), None)

    def _header(self, series: str) -> Dataset | None:
        """That of the first slice, or else of a file; None where there is none, or it is damaged."""
        header = None
        with suppress(Exception):  # pydicom raises many types for damaged bytes
            for path in self.spool.files(series):
                header = dcmread(path, stop_before_pixels=True)
                if not why_ignored(header):
                    break
        return header

    # ---------------------------------------------------------------- inference

    def _infer_next(self) -> bool:
        job = self.spool.next()
        if job is None:
            return False
        if self._is_full():
            self._again(job, "the disk is full")
            return True
        route = self._route_of(job.series)
        if route is None:
            self.spool.end(job, FAILED, "no route takes it any more")
            return True
        folder = Path(tempfile.mkdtemp(dir=self.spool.work))
        try:
            self._infer(job, route, folder)
        except Exception as error:  # a full disk, or a fault of the node; its text may quote a header
            self._again(job, f"unexpected {type(error).__name__}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def _infer(self, job: Job, route: Route, folder: Path) -> None:
        begun, out = time.monotonic(), folder / "out"
        arguments = {
            "bundle": route.bundle.folder,
            "options": route.options,
            "source": self.spool.incoming / job.series,
            "out": out,
        }
        try:
            self.worker.start()
            self.worker.ask("derive", arguments, lambda *_: None)
        except Refused as error:
            self._say_no(job, route, folder, REFUSED, error.reasons or (str(error),))
        except WorkerEndedError as error:
            if self._stop.is_set():
                return
            self._again(job, str(error))
        except UserError as error:
            if self._is_full():
                self._again(job, "the disk is full")
                return
            self._say_no(job, route, folder, FAILED, (self._without_names(str(error), job),))
        else:
            if self.spool.made(job, out, SENT):
                log.info("series %s: made in %.0f s", job.series, time.monotonic() - begun)

    def _again(self, job: Job, fault: str) -> None:
        """Queue a case again that has not failed by itself, up to some times unless the disk is full."""
        log.error("series %s: %s", job.series, fault)
        if job.attempts + 1 < MOST_TRIES or self._is_full():
            self.spool.later(job, QUEUED, FIRST_WAIT, fault)
        else:
            self.spool.end(job, FAILED, fault)

    def _is_full(self) -> bool:
        try:
            self.spool.require_disk(NEEDED)
        except FullError:
            return True
        return False

    def _say_no(self, job: Job, route: Route, folder: Path, outcome: str, reasons: tuple[str, ...]) -> None:
        """End a case without a volume; with a page that says why, where the route wants one."""
        told = tuple(self._without_names(reason, job) for reason in reasons)
        log.info("series %s: %s: %s", job.series, outcome, "; ".join(told))
        header = self._header(job.series)
        if route.refused != IMAGE or header is None:
            self.spool.end(job, outcome, "; ".join(told))
            return
        metadata = route.bundle.metadata
        about = f"{route.bundle.name} {metadata['version']}"
        number = header.get("SeriesNumber") or "without a number"
        source = f"Source: series {number}, {len(self.spool.files(job.series))} instances."
        why = [f"{reason[:1].upper()}{reason[1:]}." for reason in told]
        title = f"No synthetic series: {outcome}"
        place = folder / "notice"
        place.mkdir(mode=0o700)
        said = [source, f"By {route.bundle.short}: {metadata['task']}.", *why]
        try:
            write_slices([notice(header, title, said, about, datetime.now())], place)
        except Exception as error:  # a header that cannot be copied; the reason must not be lost with the page
            log.error("series %s: no page (%s)", job.series, type(error).__name__)
            self.spool.end(job, outcome, "; ".join(told))
            return
        self.spool.made(job, place, outcome, "; ".join(told))

    def _without_names(self, text: str, job: Job) -> str:
        """A message without UIDs and paths, whose options are those of a route."""
        told = UID.sub("UID", text).replace(f"{self.spool.incoming}/", "")
        told = told.replace(f"{job.series} ({job.series})", "the series").replace(job.series, "the series")
        told = STORED.sub(lambda found: self._number_of(job.series, found[0]), told)
        return OPTION.sub(r"the option \1: \2", told)

    def _number_of(self, series: str, file: str) -> str:
        """What a file of the spool is called that a message names."""
        with suppress(Exception):  # it is gone, or has none
            header = dcmread(self.spool.incoming / series / file, specific_tags=["InstanceNumber"])
            return f"instance {int(header.InstanceNumber)}"
        return "an instance"

    # ---------------------------------------------------------------- delivery

    def _send_next(self, destination: str) -> bool:
        job = self.spool.next(destination)
        if job is not None:
            self._send(job)
        return job is not None

    def _send(self, job: Job) -> None:
        files = self.spool.outgoing_files(job)
        if not files:
            self.spool.end(job, FAILED, "its files are gone from the spool")
            return
        try:
            deliver(files, self.settings.destinations[job.destination], self.settings)
        except Exception as error:
            told = str(error) if isinstance(error, NotDeliveredError) else f"unexpected {type(error).__name__}"
            self.away[job.destination] = told
            waited = time.time() - job.changed
            if waited > DAY * self.settings.retry_days:
                log.error("series %s: given up after %.1f days: %s", job.series, waited / DAY, told)
                self.spool.end(job, FAILED, f"not delivered: {told}")
                return
            wait = min(FIRST_WAIT * 2 ** min(job.attempts, 10), LONGEST_WAIT)
            log.warning("series %s: %s; again in %.0f s", job.series, told, wait)
            self.spool.later(job, MADE, wait, told)
            return
        self.away.pop(job.destination, None)
        self.spool.end(job, job.outcome, job.message if job.outcome != SENT else "")
        log.info("series %s: sent to %s, files: %d", job.series, job.destination, len(files))

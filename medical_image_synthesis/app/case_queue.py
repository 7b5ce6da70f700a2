"""Cases of the app and their queue: one is inferred at a time, each in a folder of its own, all removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import UserError
from medical_image_synthesis.app.settings import CaseChoices
from medical_image_synthesis.places import MAP
from medical_image_synthesis.worker_process import WorkerProcess

READING, READY, QUEUED, RUNNING = "reading", "ready", "queued", "running"
DONE, REFUSED, FAILED, CANCELLED = "done", "refused", "failed", "cancelled"
ENDED = (DONE, REFUSED, FAILED, CANCELLED)
SOURCE, SYNTHETIC, UNCERTAINTY = "source", "synthetic", "uncertainty"
PREFIX = "synthesize-app-"
REFUSE = "refuse"
"""Verdict of a case that is never written as DICOM."""


@dataclass
class UploadedCase:
    """A scan, what is to be made of it, and how far that is.

    Attributes:
        name: of the file or folder that was uploaded; shown to who uploaded it, never in a message or an address.
        folder: of its files, which nobody else may read.
        source: the stored scan.
        choices: bundle, options and settings; None until it is started.
        status: ``reading``, ``ready``, ``queued``, ``running``, ``done``, ``refused``, ``failed`` or ``cancelled``.
        stage: what is done for it, in words.
        share: of the stage that is done.
        seconds_left: until the stage is done.
        stage_begun: clock when it began.
        message: why it failed, or cannot be shown.
        about: its JSON file: verdict and warnings among others.
        volumes: NIfTI files for the viewer, by ``source``, ``synthetic`` and ``uncertainty``.
        results: files to download, by ``nifti`` and ``json``, and ``dicom`` once it was asked for.
        begun: clock when its inference began.
        seconds: that the inference took.
    """

    name: str
    folder: Path
    source: Path
    choices: CaseChoices | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = READY
    stage: str = "waiting"
    share: float | None = None
    seconds_left: int | None = None
    stage_begun: float = 0.0
    message: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Path] = field(default_factory=dict)
    results: dict[str, Path] = field(default_factory=dict)
    begun: float = 0.0
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def formats(self) -> list[str]:
        """Formats of its result: DICOM too, which is written when asked for, unless the case is refused."""
        verdict = (self.about.get("Quality") or {}).get("verdict")
        as_dicom = {"dicom"} if "nifti" in self.results and verdict != REFUSE else set()
        return sorted({*self.results, *as_dicom})

    def report(self, stage: str, share: float | None) -> None:
        """Note what is done for it."""
        if not share:
            self.stage_begun = time.monotonic()
        spent = time.monotonic() - self.stage_begun
        self.stage, self.share = stage, share
        self.seconds_left = round(spent * (1 - share) / share) if share else None

    def state(self) -> dict[str, Any]:
        """What a page shows of the case, as JSON."""
        return {
            "id": self.id, "name": self.name, "status": self.status,
            "bundle": None if self.choices is None else self.choices.bundle.short,
            "stage": self.stage, "share": self.share, "seconds_left": self.seconds_left,
            "seconds": round(self.seconds, 1), "message": self.message, "quality": self.about.get("Quality"),
            "warnings": self.about.get("Warnings", []), "unit": self.about.get("Unit"),
            "volumes": sorted(self.volumes), "results": self.formats,
        }  # fmt: skip


class CaseQueue:
    """Infers the cases in their order, in a process that keeps the last model; another reads scans meanwhile.

    A folder for all uploads is made in the system's temporary folder, which only its owner may read.
    """

    def __init__(self) -> None:
        _remove_left_behind()
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._held = _hold(self.root)
        self.cases: dict[str, UploadedCase] = {}
        self._changed = threading.Condition()
        self._inference, self._reader = WorkerProcess(), WorkerProcess()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    def new_folder(self) -> Path:
        """A new folder for an upload, 0700."""
        return Path(tempfile.mkdtemp(dir=self.root))

    def add(self, case: UploadedCase) -> None:
        """Put a case into the list."""
        with self._changed:
            self.cases[case.id] = case

    def start(self, case: UploadedCase, choices: CaseChoices) -> bool:
        """Put a case that is ready at the end of the queue; whether it was."""
        with self._changed:
            if case.status != READY:
                return False
            case.choices, case.status, case.message = choices, QUEUED, ""
            self._changed.notify_all()
            return True

    def show(self, case: UploadedCase) -> None:
        """Put a case into the list, and make its scan viewable; its message is why it is not."""
        case.status = READING
        self.add(case)
        try:
            self._view(case)
        except UserError as error:
            case.message = str(error)
        with self._changed:
            if case.status == READING:
                case.status = READY

    def as_dicom(self, case: UploadedCase) -> None:
        """Write the result of a case as DICOM, unless it is there.

        Raises:
            UserError: it cannot be written.
        """
        with self._reader.turn:
            if "dicom" in case.results or case.choices is None:
                return
            case.results["dicom"] = self._ask(
                self._reader, case, "as_dicom", source=case.source, sidecar=case.results["json"],
                weights=case.choices.bundle.weights, out=case.folder / "dicom.zip", settings=case.choices.settings,
            )  # fmt: skip

    def states(self) -> list[dict[str, Any]]:
        """Those of all cases, the first first."""
        with self._changed:
            return [case.state() for case in self.cases.values()]

    def cancel(self, case: UploadedCase) -> None:
        """End the inference of a case, or take it from the queue; an ended one stays as it is."""
        with self._changed:
            if not case.has_ended:
                case.status = CANCELLED
                self._kill(case)

    def remove(self, case: UploadedCase) -> None:
        """Cancel a case and delete its files."""
        self.cancel(case)
        with self._changed:
            self.cases.pop(case.id, None)
            self._kill(case)
        shutil.rmtree(case.folder, ignore_errors=True)

    def close(self) -> None:
        """End what is running, and delete all files."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in (self._inference, self._reader):
            worker.close()
        self._thread.join(timeout=10)
        shutil.rmtree(self.root, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _kill(self, case: UploadedCase) -> None:
        for worker in (self._inference, self._reader):
            if worker.of is case:
                worker.kill()

    def _work(self) -> None:
        while (case := self._next()) is not None:
            try:
                self._infer(case)
            except Exception as error:  # one failed case must not stop the queue
                self._end(case, FAILED, without_paths(str(error), case))

    def _next(self) -> UploadedCase | None:
        """Wait for a case, and mark it as running; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                case = next((each for each in self.cases.values() if each.status == QUEUED), None)
                if case is not None:
                    case.status, case.stage, case.begun = RUNNING, "starting", time.monotonic()
                    return case
                self._changed.wait()
        return None

    def _infer(self, case: UploadedCase) -> None:
        """Infer, name the files, and show them."""
        assert case.choices is not None
        sidecar = self._ask(
            self._inference, case, "infer", bundle=case.choices.bundle.folder, options=case.choices.options(),
            source=case.source, out=case.folder / "out",
        )  # fmt: skip
        volume, widths = sidecar.with_suffix(".nii.gz"), sidecar.with_name(f"{sidecar.stem}{MAP}")
        case.about = json.loads(sidecar.read_text(encoding="utf-8"))
        case.results["json"] = sidecar  # before the end, after which nobody looks at the case again
        if not volume.exists():
            self._end(case, REFUSED, "")
            return
        case.results["nifti"] = volume
        with suppress(UserError):  # what cannot be shown can be downloaded nevertheless
            self._view(case)
        with self._changed:
            case.volumes |= {name: path for name, path in ((SYNTHETIC, volume), (UNCERTAINTY, widths)) if path.exists()}
        self._end(case, DONE, "")

    def _view(self, case: UploadedCase) -> None:
        """Show a scan.

        Raises:
            UserError: it cannot be read.
        """
        shown = case.source
        if not shown.name.endswith((".nii", ".nii.gz")) and SOURCE not in case.volumes:
            shown = self._ask(self._reader, case, "view", scan=shown, out=case.folder / f"{SOURCE}.nii.gz")
        with self._changed:
            case.volumes.setdefault(SOURCE, shown)

    def _ask(self, worker: WorkerProcess, case: UploadedCase, job: str, **arguments: Any) -> Path:
        """Have a job of a case done, and return the file that was made.

        Raises:
            UserError: why there is none, without paths.
        """
        with worker.turn:
            with self._changed:
                if case.status == CANCELLED or case.id not in self.cases or self._closed:
                    raise UserError(CANCELLED)
                worker.start()
                worker.of = case
            try:
                return Path(worker.ask(job, arguments, case.report))
            except UserError as error:
                raise UserError(without_paths(str(error), case)) from error
            finally:
                with self._changed:
                    worker.of = None

    def _end(self, case: UploadedCase, status: str, message: str) -> None:
        with self._changed:
            if case.status == RUNNING:  # else it has ended
                case.seconds = time.monotonic() - case.begun
                case.status, case.message = status, message


def without_paths(message: str, case: UploadedCase) -> str:
    """A message that calls the stored scan ``the scan``, and no file of the case by its path."""
    return message.replace(str(case.source), "the scan").replace(f"{case.folder}/", "")


def _remove_left_behind() -> None:
    """Delete the folders of servers that were killed, which nobody holds any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (held := _hold(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _hold(folder: Path) -> int | None:
    """Hold a folder until the descriptor is closed or this process ends; None where another does, and on Windows.

    Not by the number of a process: in containers each server has that of the one before it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held

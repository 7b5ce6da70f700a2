"""Cases of the app and their queue: one is inferred at a time, each in a folder of its own, all removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import UserError
from medical_image_synthesis.app.inference import CaseProcess, CaseProgress, made
from medical_image_synthesis.app.settings import CaseChoices
from medical_image_synthesis.infer import MANIFEST
from medical_image_synthesis.places import SIDECAR

READING, READY, QUEUED, RUNNING = "reading", "ready", "queued", "running"
DONE, REFUSED, FAILED, CANCELLED = "done", "refused", "failed", "cancelled"
ENDED = (DONE, REFUSED, FAILED, CANCELLED)
SOURCE, SYNTHETIC, UNCERTAINTY = "source", "synthetic", "uncertainty"
FIRST_STAGE = CaseProgress("reading the scan")
SYNTHESIZE = "medical_image_synthesis"
VIEWABLE = "medical_image_synthesis.app.viewable"
AS_DICOM = "medical_image_synthesis.app.as_dicom"
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
        progress: of the stage that it is in.
        message: why it failed, or cannot be shown.
        about: the entry of the manifest: verdict and warnings among others.
        volumes: NIfTI files for the viewer, by ``source``, ``synthetic`` and ``uncertainty``.
        results: files to download, by ``nifti`` and ``json``, and ``dicom`` once it was asked for.
        begun: clock when its inference began.
        seconds: that the inference took.
        unit: of the synthetic volume.
    """

    name: str
    folder: Path
    source: Path
    choices: CaseChoices | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = READY
    progress: CaseProgress = CaseProgress("waiting")
    message: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Path] = field(default_factory=dict)
    results: dict[str, Path] = field(default_factory=dict)
    begun: float = 0.0
    seconds: float = 0.0
    unit: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def formats(self) -> list[str]:
        """Formats of its result: DICOM too, which is written when asked for, unless the case is refused."""
        verdict = (self.about.get("quality") or {}).get("verdict")
        as_dicom = {"dicom"} if "nifti" in self.results and verdict != REFUSE else set()
        return sorted({*self.results, *as_dicom})

    def state(self) -> dict[str, Any]:
        """What a page shows of the case, as JSON."""
        return {
            "id": self.id, "name": self.name, "status": self.status,
            "bundle": None if self.choices is None else self.choices.bundle.short,
            "stage": self.progress.stage, "share": self.progress.share, "seconds_left": self.progress.seconds_left,
            "seconds": round(self.seconds, 1), "message": self.message, "quality": self.about.get("quality"),
            "warnings": self.about.get("warnings", []), "unit": self.unit,
            "volumes": sorted(self.volumes), "results": self.formats,
        }  # fmt: skip


class CaseQueue:
    """Infers the cases in their order, in a thread that ends with :meth:`close`.

    A folder for all uploads is made in the system's temporary folder, which only its owner may read.
    """

    def __init__(self) -> None:
        _remove_left_behind()
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._held = _hold(self.root)
        self.cases: dict[str, UploadedCase] = {}
        self._changed = threading.Condition()
        self._processes: list[tuple[UploadedCase, CaseProcess]] = []
        self._writing = threading.Lock()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="inference", daemon=True)
        self._worker.start()

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
        case.message = self._view(case, SOURCE, case.source)
        with self._changed:
            if case.status == READING:
                case.status = READY

    def as_dicom(self, case: UploadedCase) -> None:
        """Write the result of a case as DICOM, unless it is there.

        Raises:
            UserError: it cannot be written.
        """
        with self._writing:
            if "dicom" in case.results or case.choices is None:
                return
            weights, out = case.choices.bundle.weights, case.folder / "dicom.zip"
            settings = json.dumps(dict(case.choices.settings))
            words = [str(case.source), str(case.results["json"]), str(weights), str(out), settings]
            if fault := self._run(case, AS_DICOM, words):
                raise UserError(fault)
            case.results["dicom"] = out

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
            for case in self.cases.values():
                self._kill(case)
            self._changed.notify_all()
        self._worker.join(timeout=10)
        shutil.rmtree(self.root, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _kill(self, case: UploadedCase) -> None:
        for of, process in self._processes:
            if of is case:
                process.kill()

    def _work(self) -> None:
        while (case := self._next()) is not None:
            fault = "the inference wrote no volume"
            try:
                self._infer(case)
            except Exception as error:  # one failed case must not stop the queue
                fault = without_paths(str(error), case)
            self._end(case, FAILED, fault)
            if case.id not in self.cases:  # removed while it was inferred
                shutil.rmtree(case.folder, ignore_errors=True)

    def _next(self) -> UploadedCase | None:
        """Wait for a case, and mark it as running; None once the queue is closed."""
        with self._changed:
            while not self._closed:
                case = next((each for each in self.cases.values() if each.status == QUEUED), None)
                if case is not None:
                    case.status, case.progress, case.begun = RUNNING, FIRST_STAGE, time.monotonic()
                    return case
                self._changed.wait()
        return None

    def _infer(self, case: UploadedCase) -> None:
        """Infer, name the files, and show them."""
        assert case.choices is not None
        out = case.folder / "out"

        def report(progress: CaseProgress) -> None:
            case.progress = progress._replace(stage=without_paths(progress.stage, case))

        words = [case.choices.bundle.short, str(case.source), "--output", str(out), *case.choices.words()]
        fault = self._run(case, SYNTHESIZE, words, report)
        case.about = made(out)
        status = case.about.get("status")
        if status in (DONE, REFUSED):
            self._keep(case, out)  # before the end, after which nobody looks at the case again
        if status == REFUSED:
            self._end(case, REFUSED, "")
        elif fault:
            self._end(case, FAILED, fault)
        elif status == DONE:
            written = {SYNTHETIC: case.about["file"], UNCERTAINTY: case.about.get("uncertainty")}
            for name, scan in {
                SOURCE: case.source,
                **{name: out / file for name, file in written.items() if file},
            }.items():
                self._view(case, name, scan)  # what cannot be shown can be downloaded nevertheless
            self._end(case, DONE, "")

    def _view(self, case: UploadedCase, name: str, scan: Path) -> str:
        """Show a volume; why it cannot be shown."""
        shown = scan if _is_nifti(scan) else case.folder / f"{name}.nii.gz"
        if shown != scan and name not in case.volumes and (fault := self._run(case, VIEWABLE, [str(scan), str(shown)])):
            return fault
        with self._changed:
            case.volumes[name] = shown
        return ""

    def _run(
        self, case: UploadedCase, module: str, words: list[str], report: Callable[[CaseProgress], None] | None = None
    ) -> str:
        """Run Python on behalf of a case; why it failed, empty if it did not."""
        with self._changed:
            if case.status == CANCELLED or case.id not in self.cases or self._closed:
                return CANCELLED
            process = CaseProcess(module, words, report or (lambda _: None))
            self._processes.append((case, process))
        try:
            code = process.wait()
        finally:
            with self._changed:
                self._processes.remove((case, process))
        return without_paths(process.failure(code), case) if code else ""

    def _keep(self, case: UploadedCase, out: Path) -> None:
        """Name the files that can be taken away."""
        (sidecar,) = (path for path in out.glob(f"*{SIDECAR}") if path.name != MANIFEST)
        case.results["json"] = sidecar
        case.unit = json.loads(sidecar.read_text(encoding="utf-8")).get("Unit")
        if name := case.about.get("file"):
            case.results["nifti"] = out / name

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


def _is_nifti(path: Path) -> bool:
    return path.name.endswith((".nii", ".nii.gz"))

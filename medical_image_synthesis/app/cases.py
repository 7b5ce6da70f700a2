"""Cases of the app and their queue: one is inferred at a time, each in a folder of its own, all removed at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medical_image_synthesis.app.inference import CaseProcess, CaseProgress, made, zipped
from medical_image_synthesis.app.settings import CaseChoices
from medical_image_synthesis.infer import MANIFEST
from medical_image_synthesis.places import SIDECAR

QUEUED, RUNNING, DONE, REFUSED, FAILED, CANCELLED = "queued", "running", "done", "refused", "failed", "cancelled"
ENDED = (DONE, REFUSED, FAILED, CANCELLED)
SOURCE, SYNTHETIC, UNCERTAINTY = "source", "synthetic", "uncertainty"
READING = CaseProgress("reading the scan")
SYNTHESIZE = "medical_image_synthesis"
VIEWABLE = "medical_image_synthesis.app.viewable"
PREFIX = "synthesize-app-"


@dataclass
class UploadedCase:
    """A scan, what is to be made of it, and how far that is.

    Attributes:
        name: of the file or folder that was uploaded; shown to who uploaded it, never in a message or an address.
        folder: of its files, which nobody else may read.
        source: the stored scan.
        choices: bundle, options and settings.
        status: one of ``queued``, ``running``, ``done``, ``refused``, ``failed`` and ``cancelled``.
        progress: of the stage that it is in.
        message: why it failed.
        about: the entry of the manifest: verdict and warnings among others.
        volumes: NIfTI files for the viewer, by ``source``, ``synthetic`` and ``uncertainty``.
        results: files to download, by ``nifti``, ``dicom`` and ``json``.
        begun: clock when its inference began.
        seconds: that the inference took.
        unit: of the synthetic volume.
    """

    name: str
    folder: Path
    source: Path
    choices: CaseChoices
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: str = QUEUED
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

    def state(self) -> dict[str, Any]:
        """What a page shows of the case, as JSON."""
        return {
            "id": self.id, "name": self.name, "bundle": self.choices.bundle.short, "status": self.status,
            "stage": self.progress.stage, "share": self.progress.share, "seconds_left": self.progress.seconds_left,
            "seconds": round(self.seconds, 1), "message": self.message, "quality": self.about.get("quality"),
            "warnings": self.about.get("warnings", []), "unit": self.unit,
            "volumes": sorted(self.volumes), "results": sorted(self.results),
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
        self._process: CaseProcess | None = None
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="inference", daemon=True)
        self._worker.start()

    def new_folder(self) -> Path:
        """A new folder for an upload, 0700."""
        return Path(tempfile.mkdtemp(dir=self.root))

    def add(self, case: UploadedCase) -> None:
        """Put a case at the end."""
        with self._changed:
            self.cases[case.id] = case
            self._changed.notify_all()

    def states(self) -> list[dict[str, Any]]:
        """Those of all cases, the first first."""
        with self._changed:
            return [case.state() for case in self.cases.values()]

    def cancel(self, case: UploadedCase) -> None:
        """End the inference of a case, or take it from the queue; an ended one stays as it is."""
        with self._changed:
            if not case.has_ended:
                running = case.status == RUNNING
                case.status = CANCELLED
                if running and self._process is not None:
                    self._process.kill()

    def remove(self, case: UploadedCase) -> None:
        """Cancel a case and delete its files."""
        self.cancel(case)
        with self._changed:
            self.cases.pop(case.id, None)
        shutil.rmtree(case.folder, ignore_errors=True)

    def close(self) -> None:
        """End what is running, and delete all files."""
        with self._changed:
            self._closed = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        self._worker.join(timeout=10)
        shutil.rmtree(self.root, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

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
                    case.status, case.progress, case.begun = RUNNING, READING, time.monotonic()
                    return case
                self._changed.wait()
        return None

    def _infer(self, case: UploadedCase) -> None:
        """Infer, name the files, and show them."""
        out = case.folder / "out"
        words = [case.choices.bundle.short, str(case.source), "--output", str(out), *case.choices.words()]
        fault = self._run(case, SYNTHESIZE, words)
        case.about = made(out)
        status = case.about.get("status")
        if status in (DONE, REFUSED):
            self._keep(case, out)  # before the end, after which nobody looks at the case again
        if status == REFUSED:
            self._end(case, REFUSED, "")
        elif fault:
            self._end(case, FAILED, fault)
        elif status == DONE:
            self._view(case, out)
            self._end(case, DONE, "")

    def _view(self, case: UploadedCase, out: Path) -> None:
        """Show source, synthetic volume and map; what cannot be shown can be downloaded nevertheless."""
        written = {SYNTHETIC: case.about["file"], UNCERTAINTY: case.about.get("uncertainty")}
        scans = {SOURCE: case.source, **{name: out / file for name, file in written.items() if file}}
        for name, scan in scans.items():
            shown = scan if _is_nifti(scan) else case.folder / f"{name}.nii.gz"
            if shown == scan or not self._run(case, VIEWABLE, [str(scan), str(shown)]):
                with self._changed:
                    case.volumes[name] = shown
        if SYNTHETIC in case.volumes:
            case.results["nifti"] = case.volumes[SYNTHETIC]

    def _run(self, case: UploadedCase, module: str, words: list[str]) -> str:
        """Run Python on behalf of a case; why it failed, empty if it did not."""

        def report(progress: CaseProgress) -> None:
            case.progress = progress._replace(stage=without_paths(progress.stage, case))

        with self._changed:
            if case.status != RUNNING or self._closed:
                return CANCELLED
            self._process = process = CaseProcess(module, words, report)
        try:
            code = process.wait()
        finally:
            with self._changed:
                self._process = None
        return without_paths(process.failure(code), case) if code else ""

    def _keep(self, case: UploadedCase, out: Path) -> None:
        """Name the files that can be taken away."""
        name = case.about.get("file")
        sidecars = [path for path in out.glob(f"*{SIDECAR}") if path.name != MANIFEST]
        if sidecars:
            case.results["json"] = sidecars[0]
            case.unit = json.loads(sidecars[0].read_text(encoding="utf-8")).get("Unit")
        if name and case.choices.output_format == "dicom":
            folders = [out / each for each in (name, case.about.get("uncertainty")) if each]
            zipped(folders, case.folder / "dicom.zip")
            case.results["dicom"] = case.folder / "dicom.zip"

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

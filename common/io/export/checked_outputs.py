"""Outputs of a run: their places, and the checks before anything is computed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, OutputError
from ...files import require_file_name
from ...weights import checkpoints
from .dicom import DicomFormat
from .one_file import FileFormat
from .outputs import (
    MANIFEST_NAME,
    OTHER_FOLDER,
    require_apart,
    require_distinct,
    require_file,
    require_new,
    require_own_manifest,
    written_about,
)
from .record import Provenance
from .verdicts import MARK

MAP_ENDING = "_uncertainty"


class CheckedOutputs:
    """Where the volumes of a run are written, and whether they may be; :class:`~common.io.export.VolumeExporter`."""

    output_file: Path | None
    output_dir: Path
    suffix: str
    weights: Path
    overwrite: bool
    format: DicomFormat | FileFormat
    maps: DicomFormat | FileFormat | None
    provenance: Provenance

    def path(self, case: str) -> Path:
        """The path of the volume of a case.

        Raises:
            DataError: for a case whose name cannot be that of a file, as :func:`common.files.require_file_name`.
        """
        return self._place(case, self.format.suffix)

    def sidecar(self, case: str) -> Path:
        """The path of the JSON sidecar of a case; raises as :meth:`path`."""
        return self._place(case, ".json")

    def map_path(self, case: str) -> Path:
        """The path of the uncertainty map of a case; raises as :meth:`path`."""
        return self._place(case, MAP_ENDING + (self.maps.suffix if self.maps else ""))

    def _volumes(self, case: str) -> list[Path]:
        return [self.path(case)] if self.maps is None else [self.path(case), self.map_path(case)]

    def _outputs(self, case: str) -> list[Path]:
        return [*self._volumes(case), self.sidecar(case)]

    def _place(self, case: str, ending: str) -> Path:
        require_file_name(case, "case", f"_{self.suffix}{ending}")
        if self.output_file is not None:
            return self.output_file.with_name(self.output_file.name.removesuffix(self.format.suffix) + ending)
        return self.output_dir / f"{case}_{self.suffix}{ending}"

    def note_inputs(self, cases: Sequence[Mapping[str, Any]]) -> None:
        """Note the files of the cases of a run, whose hashes the sidecars record."""
        self.provenance.sources = {str(item["case"]): list(_inputs(item)) for item in cases}

    def require_free(
        self, cases: Sequence[Mapping[str, Any]], resume: bool = False, inputs: Iterable[str | Path] = ()
    ) -> None:
        """Refuse outputs that cannot be written, or must not, before anything is computed.

        Args:
            cases: all of the run, those of other processes too, since no case may replace the input of another.
            resume: whether an earlier run may have written some of them; what it left unfinished is replaced.
            inputs: further files that the run reads; the weights are known.

        Raises:
            CheckpointError: for missing weights.
            DataError: for a case whose name cannot be that of a file.
            OutputError: for two cases with the same output; an output that exists without ``overwrite``, that is or
                contains an input, or that is a folder of others; an unwritable folder, or too little disk space for
                the series.
        """
        self.note_inputs(cases)
        names = [str(item["case"]) for item in cases]
        outputs = [output for name in names for output in self._outputs(name)]
        if self.output_file is None:
            outputs.append(self.output_dir / MANIFEST_NAME)
            require_own_manifest(self.output_dir, self.overwrite)
        require_distinct(outputs)
        read = [*inputs, self.weights, *(source for item in cases for source in _inputs(item))]
        require_apart(outputs, [Path(source) for source in read])
        if not self.weights.is_file():
            raise CheckpointError(f"no weights at {self.weights}", "train the bundle first, or pass --weights FILE")
        left = [item for item in cases if not resume or self.why_recomputed(str(item["case"]))]
        for item in left:
            self._require_place(str(item["case"]), self.overwrite or resume)
        self._require_room(left)

    def _require_place(self, case: str, may_replace: bool) -> None:
        is_refusal = not self.path(case).exists() and MARK in written_about(self.sidecar(case))
        for output in self._outputs(case):
            require_new(output, may_replace or is_refusal)
        self.format.require_replaceable(self.path(case))
        require_file(self.sidecar(case))
        if self.maps is not None:
            self.maps.require_replaceable(self.map_path(case))

    def _require_room(self, cases: Sequence[Mapping[str, Any]]) -> None:
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.output_dir).close()
            free = shutil.disk_usage(self.output_dir).free
        except OSError as error:
            fault = f"cannot write to {self.output_dir} ({error.strerror or error})"
            raise OutputError(fault, OTHER_FOLDER) from error
        formats = [each for each in (self.format, self.maps) if each is not None]
        needed = sum(each.least_bytes(Path(next(_inputs(item)))) for item in cases for each in formats)
        if needed > free:
            fault = f"{self.output_dir} has {free / 1e6:.1f} MB free, the outputs need {needed / 1e6:.1f} MB"
            raise OutputError(fault, f"free space or {OTHER_FOLDER}")

    def why_recomputed(self, case: str) -> str:
        """Why the output of an earlier run is not that of this one; empty where it is, and may be kept.

        Raises:
            OutputError: for an output of other weights.
        """
        if not all(output.exists() for output in self._outputs(case)):
            return "some of its files are missing"
        recorded = written_about(self.sidecar(case))
        earlier, own = recorded.get("WeightsSha256"), checkpoints.sha256(self.weights)
        if earlier != own:
            fault = f"{self.path(case)} was made by the weights {str(earlier)[:12]}..., not by {own[:12]}..."
            raise OutputError(fault, f"pass --overwrite true or {OTHER_FOLDER}")
        return self.provenance.changed(recorded.get("MadeFrom"), case, self._volumes(case))


def _inputs(item: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the channels of a case, in their order."""
    yield from item["image"] if isinstance(item["image"], list | tuple) else [item["image"]]

"""Exporter of predicted volumes on the grid of their source, marked as synthetic."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.utils import MetaKeys, convert_to_numpy

from ...errors import CheckpointError, ConfigError, OutputError, choose
from ...files import remove, require_file_name, write_text
from ...grids import same_grid, show_affine
from ...weights import checkpoints
from ...weights.info import origin
from ..dicom.writing.template import MapOf
from ..reader import WARNINGS
from ..stored_values import require_dtype
from .dicom import DicomFormat
from .nifti import NiftiFormat
from .outputs import (
    BACKEND,
    KEPT,
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
from .verdicts import MARK, QUALITY, REFUSE
from .volume import OutputVolume, volume_of

if TYPE_CHECKING:
    from .itk import ItkFormat

FORMATS = ("nifti", "dicom", "nrrd", "mha")
MAP_ENDING = "_uncertainty"
MAP_DTYPE = "float32"


class VolumeExporter:
    """Writes each predicted volume as a file or as a DICOM series, with a JSON sidecar on its provenance.

    Args:
        predictions_dir: receives ``<case>_<suffix>.nii.gz`` (``.nrrd``, ``.mha``), or a folder ``<case>_<suffix>`` of
            slices, and ``.json``.
        suffix: of the name, such as ``synthetic_ct``.
        modality: of the target, for DICOM: ``CT``, ``MR`` or ``PT``.
        unit: of the values, such as ``HU``.
        bundle: name and version, for headers and JSON.
        weights: file whose hash is written into the sidecar.
        output_format: ``nifti``, ``dicom``, ``nrrd`` or ``mha``.
        output_dtype: stored type of files; for DICOM the modality determines it.
        overwrite: replace existing outputs.
        output_file: of the one volume of a run, in the place of its name in ``predictions_dir``; there is no manifest.
        **series: of :class:`common.io.export.dicom.DicomFormat`: ``dicom_axial``, ``timing``, ``reader``.

    Raises:
        ConfigError: for another format, stored type or modality, or a suffix that cannot be part of a file name.
    """

    def __init__(
        self,
        predictions_dir: str,
        suffix: str,
        modality: str,
        unit: str,
        bundle: str,
        weights: str,
        output_format: str = "nifti",
        output_dtype: str = "int16",
        overwrite: bool = False,
        output_file: str | None = None,
        **series: Any,
    ) -> None:
        if output_format not in FORMATS:
            raise ConfigError(f"--output_format is {output_format!r}", choose(FORMATS))
        require_dtype(output_dtype)
        require_file_name(suffix, "suffix", error=ConfigError)
        self.output_file = None if output_file is None else Path(output_file)
        self.output_dir = Path(predictions_dir) if self.output_file is None else self.output_file.parent
        self.suffix = suffix
        self.modality = modality
        self.unit = unit
        self.bundle = bundle
        self.weights = Path(weights)
        self.overwrite = overwrite
        self.dtype = output_dtype
        self._as_series = DicomFormat(modality, unit, bundle, self.weights, **series)
        self.reader = self._as_series.reader
        self.format = self._format(output_format)
        self.maps: DicomFormat | NiftiFormat | None = None
        self._about_maps: dict[str, Any] = {}
        self._hold = ""
        self.provenance = Provenance(bundle)

    def _format(self, name: str) -> DicomFormat | NiftiFormat | ItkFormat:
        if name == "dicom":
            return self._as_series
        named = f"{self.bundle}, simulation-trained" if origin(self.weights) else self.bundle
        if name == "nifti":
            return NiftiFormat(named, self.dtype)
        from .itk import ItkFormat  # few write it

        return ItkFormat(named, self.dtype, f".{name}")

    def of_case(self, case: str) -> VolumeExporter:
        """That of one case alone, which this one forgets."""
        other = copy.copy(self)
        other.provenance = self.provenance.only(case)
        return other

    def to(self, output: Path, output_format: str, overwrite: bool = False) -> VolumeExporter:
        """The same for one volume: a file, or a folder of slices.

        Raises:
            ConfigError: as the constructor.
        """
        other = copy.copy(self)
        other.output_file, other.output_dir, other.overwrite = output, output.parent, overwrite
        other.format = self._format(output_format)
        if self.maps is not None:
            other.add_maps(self._about_maps, self._hold)
        return other

    def add_maps(self, about: Mapping[str, Any], hold: str) -> None:
        """Also write an uncertainty map of each volume: a second series next to a series, else NIfTI of float32.

        Args:
            about: entries of the sidecar.
            hold: what the intervals hold, such as "90% of voxels in 90% of cases", for headers of series.
        """
        as_file = NiftiFormat(f"uncertainty of {self.bundle}", MAP_DTYPE)
        self.maps = self.format if isinstance(self.format, DicomFormat) else as_file
        self._about_maps = dict(about)
        self._hold = hold

    @property
    def about_maps(self) -> dict[str, Any]:
        """What the sidecar says of a map; empty without maps."""
        return dict(self._about_maps)

    @property
    def is_dicom(self) -> bool:
        """Whether volumes are written as series, which viewers show among those of the patient's study."""
        return isinstance(self.format, DicomFormat)

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

    def entry(self, case: str, status: str) -> dict[str, Any]:
        """What the manifest lists of a case that has an output, with warnings and verdict of one of an earlier run."""
        earlier = written_about(self.sidecar(case)) if status == KEPT else {}
        optional = {
            "weights_trained_on": origin(self.weights),
            "uncertainty": None if self.maps is None else self.map_path(case).name,
            WARNINGS: earlier.get("Warnings"),
            QUALITY: earlier.get("Quality"),
        }
        about = {"case": case, "status": status, "file": self.path(case).name}
        return about | {name: value for name, value in optional.items() if value}

    @staticmethod
    def on_host(item: Mapping[str, Any], pred: Any) -> Any:
        """The predicted volume (X, Y, Z) in host memory.

        Args:
            item: the loaded case.
            pred: (1, X, Y, Z) after postprocessing.

        Raises:
            OutputError: for a prediction that is not on the grid of its source.
        """
        _require_grid(item, pred)
        return convert_to_numpy(pred[0])

    def write(self, item: Mapping[str, Any], values: Any, widths: Any = None) -> Path:
        """Write one volume (X, Y, Z), its uncertainty map where there is one, and its sidecar.

        The sidecar alone where ``values`` is None, since the case is refused; volume and map of an earlier run are
        removed.
        """
        volume = volume_of(item, values)
        path = self.path(volume.case)
        made_from: dict[str, Any] = {}
        more: dict[str, Any] = {}
        if values is None:
            remove(*self._outputs(volume.case))
        else:
            more = self.format.write(volume, path)
            more |= {} if self.maps is None else {"Uncertainty": self._written_map(item, widths, more)}
            made_from = {"MadeFrom": self.provenance.of(volume.case, self._volumes(volume.case))}
        about = self.about(item, volume, made_from, more)
        write_text(self.sidecar(volume.case), json.dumps(about, indent=2))
        return path

    def about(
        self, item: Mapping[str, Any], volume: OutputVolume, made_from: Mapping[str, Any], more: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the sidecar says of a volume; ``made_from`` and ``more`` are entries that depend on its files."""
        return {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            **({MARK: True} if QUALITY in item and item[QUALITY]["verdict"] == REFUSE else {}),
            "Bundle": self.bundle,
            "WeightsSha256": checkpoints.sha256(self.weights),
            **({"Backend": item[BACKEND]} if BACKEND in item else {}),
            **({"WeightsTrainedOn": trained_on} if (trained_on := origin(self.weights)) else {}),
            "Source": volume.source_name,
            **made_from,
            "Content": self.suffix.replace("_", " "),
            "Modality": self.modality,
            "Unit": self.unit,
            "Warnings": list(volume.warnings),
            **more,
            "Quality": item.get(QUALITY),
        }

    def _written_map(self, item: Mapping[str, Any], widths: Any, of_volume: Mapping[str, Any]) -> dict[str, Any]:
        """Write the map of a volume, and return its entry of the sidecar."""
        assert self.maps is not None
        volume = volume_of(item, widths)
        if series_uid := of_volume.get("SeriesInstanceUID"):
            volume = replace(volume, map_of=MapOf(series_uid, self._hold))
        return self._about_maps | self.maps.write(volume, self.map_path(volume.case))


def _inputs(item: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the channels of a case, in their order."""
    yield from item["image"] if isinstance(item["image"], list | tuple) else [item["image"]]


def _require_grid(item: Mapping[str, Any], pred: Any) -> None:
    """Refuse a prediction on another grid than its source; the shape alone would not reveal a flipped axis.

    Raises:
        OutputError: where the affine of the prediction, or of the network's input if it has none, is not the source's.
    """
    own = convert_to_numpy(getattr(pred, "affine", item["image"].affine))
    source = convert_to_numpy(item["image"].meta[MetaKeys.ORIGINAL_AFFINE])
    if not same_grid(pred.shape[1:], own, pred.shape[1:], source):
        affines = f"affine {show_affine(own)}, not the source's {show_affine(source)}"
        remedy = "let postprocessing begin with Invertd of the preprocessing"
        raise OutputError(f"{item['case']}: the synthetic volume has the {affines}", remedy)

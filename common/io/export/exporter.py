"""Exporter of predicted volumes on the grid of their source, marked as synthetic."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from monai.utils import MetaKeys, convert_to_numpy

from ...errors import ConfigError, OutputError, choose
from ...files import remove, require_file_name, write_text
from ...grids import channels_last, same_grid, show_affine
from ...weights import checkpoints
from ...weights.info import origin
from ..dicom.writing.template import MapOf
from ..picture_files import require_depth
from ..reader import WARNINGS
from ..stored_values import require_dtype
from .checked_outputs import CheckedOutputs
from .dicom import DicomFormat
from .one_file import NIFTI, FileFormat
from .outputs import KEPT, written_about
from .record import Provenance
from .verdicts import MARK, QUALITY, REFUSE
from .volume import OutputVolume, volume_of

PICTURES = {"png": ".png", "tiff": ".tif", "ome-tiff": ".ome.tif"}
FORMATS = {"nifti": NIFTI, "dicom": "", "nrrd": ".nrrd", "mha": ".mha", **PICTURES}
"""Endings by format."""
MAP_DTYPE = "float32"


class VolumeExporter(CheckedOutputs):
    """Writes each predicted volume as a file or as a DICOM series, with a JSON sidecar on its provenance.

    Args:
        predictions_dir: receives ``<case>_<suffix>.nii.gz`` (``.nrrd``, ``.mha``), or a folder ``<case>_<suffix>`` of
            slices, and ``.json``; ``.png``, ``.tif`` or ``.ome.tif`` of pictures.
        suffix: of the name, such as ``synthetic_ct``.
        modality: of the target, for DICOM: ``CT``, ``MR`` or ``PT``.
        unit: of the values, such as ``HU``.
        bundle: name and version, for headers and JSON.
        weights: file whose hash is written into the sidecar.
        output_format: ``nifti``, ``dicom``, ``nrrd`` or ``mha``; of pictures ``png``, ``tiff`` or ``ome-tiff``.
        output_dtype: stored type of files; for DICOM the modality determines it.
        overwrite: replace existing outputs.
        output_file: of the one volume of a run, in the place of its name in ``predictions_dir``; there is no manifest.
        **series: of :class:`common.io.export.dicom.DicomFormat`: ``dicom_axial``, ``timing``, ``reader``,
            ``same_scan``.

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
        self.maps: DicomFormat | FileFormat | None = None
        self.about_maps: dict[str, Any] = {}
        """What the sidecar says of a map; empty without maps."""
        self._hold = ""
        self.provenance = Provenance(bundle)

    def _format(self, name: str) -> DicomFormat | FileFormat:
        if self.reader.pictures != (name in PICTURES):
            what = "pictures" if self.reader.pictures else "volumes"
            written = list(PICTURES) if self.reader.pictures else [each for each in FORMATS if each not in PICTURES]
            raise ConfigError(f"--output_format {name} is not for {what}", choose(written))
        if name == "dicom":
            return self._as_series
        if name in PICTURES:
            require_depth(self.dtype)
        named = f"{self.bundle}, simulation-trained" if origin(self.weights) else self.bundle
        return FileFormat(named, self.dtype, FORMATS[name])

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
            other.add_maps(self.about_maps, self._hold)
        return other

    def add_maps(self, about: Mapping[str, Any], hold: str) -> None:
        """Also write an uncertainty map of each volume: a second series next to a series, else NIfTI of float32.

        Args:
            about: entries of the sidecar.
            hold: what the intervals hold, such as "90% of voxels in 90% of cases", for headers of series.
        """
        as_file = FileFormat(f"uncertainty of {self.bundle}", MAP_DTYPE, NIFTI)
        self.maps = self.format if isinstance(self.format, DicomFormat) else as_file
        self.about_maps = dict(about)
        self._hold = hold

    @property
    def is_dicom(self) -> bool:
        """Whether volumes are written as series, which viewers show among those of the patient's study."""
        return isinstance(self.format, DicomFormat)

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

    def on_host(self, item: Mapping[str, Any], pred: Any) -> Any:
        """The predicted volume (X, Y, Z), or picture (X, Y, 1) or (X, Y, 1, 3), in host memory.

        Args:
            item: the loaded case.
            pred: (C, X, Y, Z) after postprocessing.

        Raises:
            OutputError: for a prediction that is not on the grid of its source.
        """
        _require_grid(item, pred)
        return channels_last(convert_to_numpy(pred)) if self.reader.pictures else convert_to_numpy(pred[0])

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
            **({"WeightsTrainedOn": trained_on} if (trained_on := origin(self.weights)) else {}),
            "Source": volume.source_name,
            **made_from,
            "Content": self.suffix.replace("_", " "),
            "Modality": self.modality,
            "Unit": self.unit,
            **({"SameScan": True} if self._as_series.same_scan else {}),
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
        return self.about_maps | self.maps.write(volume, self.map_path(volume.case))


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

"""Exporter of predicted volumes on the grid of their source, marked as synthetic."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.utils import MetaKeys, convert_to_numpy

from common import checkpoints
from common.errors import ConfigError, OutputError
from common.files import write_text
from common.grids import same_grid, show_affine
from common.io.export.dicom import DicomFormat
from common.io.export.nifti import NiftiFormat
from common.io.export.volume import volume_of
from common.weights_info import origin

FORMATS = ("nifti", "dicom")


class VolumeExporter:
    """Writes each predicted volume as NIfTI or as a DICOM series, with a JSON sidecar on its provenance.

    Args:
        predictions_dir: receives ``<case>_<suffix>.nii.gz``, or a folder ``<case>_<suffix>`` of slices, and ``.json``.
        suffix: of the name, such as ``synthetic_ct``.
        modality: of the target, for DICOM: ``CT``, ``MR`` or ``PT``.
        unit: of the values, such as ``HU``.
        bundle: name and version, for headers and JSON.
        weights: file whose hash is written into the sidecar.
        output_format: ``nifti`` or ``dicom``.
        output_dtype: stored type of NIfTI; for DICOM the modality determines it.
        overwrite: replace existing outputs.
        **series: of :class:`common.io.export.dicom.DicomFormat`: ``dicom_axial``, ``timing``, ``reader``.

    Raises:
        ConfigError: for another format or modality.
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
        **series: Any,
    ) -> None:
        if output_format not in FORMATS:
            raise ConfigError("output_format", f"is {' or '.join(FORMATS)}", repr(output_format), "choose one of them")
        self.output_dir = Path(predictions_dir)
        self.suffix = suffix
        self.unit = unit
        self.bundle = bundle
        self.weights = Path(weights)
        self.overwrite = overwrite
        as_series = DicomFormat(modality, unit, bundle, self.weights, **series)
        named = f"{bundle}, simulation-trained" if origin(weights) else bundle
        self.format = as_series if output_format == "dicom" else NiftiFormat(named, output_dtype)

    def path(self, case: str) -> Path:
        """The path of the volume of a case."""
        return self.output_dir / f"{case}_{self.suffix}{self.format.suffix}"

    def sidecar(self, case: str) -> Path:
        """The path of the JSON sidecar of a case."""
        return self.output_dir / f"{case}_{self.suffix}.json"

    def require_free(self, cases: Sequence[Mapping[str, Any]], resume: bool = False) -> None:
        """Refuse outputs that cannot be written before anything is computed.

        Args:
            cases: to be written.
            resume: whether an earlier run left these cases unfinished, possibly with partial outputs.

        Raises:
            OutputError: for an output that exists without ``overwrite``, that is or contains an input, an unwritable
                folder, or too little disk space for the series.
        """
        for item in cases:
            self._require_place(str(item["case"]), [Path(source) for source in _inputs(item)], resume)
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.output_dir).close()
            free = shutil.disk_usage(self.output_dir).free
        except OSError as error:
            value, remedy = error.strerror or error, "choose another output_dir"
            raise OutputError(str(self.output_dir), "is a writable folder", value, remedy) from error
        needed = sum(self.format.least_bytes(Path(next(_inputs(item)))) for item in cases)
        if needed > free:
            remedy = "free space or choose another output_dir"
            raise OutputError(
                str(self.output_dir), f"has room for {needed / 1e6:.1f} MB", f"{free / 1e6:.1f} MB", remedy
            )

    def _require_place(self, case: str, sources: Sequence[Path], resume: bool) -> None:
        path = self.path(case)
        place = path.resolve()
        for source in sources:
            if place == source.resolve() or place in source.resolve().parents:
                raise OutputError(str(path), "is not an input of the same run", "the source", "change output_dir")
        for output in (path, self.sidecar(case)):
            if output.exists() and not (self.overwrite or resume):
                found = "a folder" if output.is_dir() else "a file"
                remedy = "give --overwrite true or another output_dir"
                raise OutputError(str(output), "does not exist yet", found, remedy)

    def is_done(self, case: str) -> bool:
        """Whether an earlier run wrote a case completely with these weights.

        Raises:
            OutputError: for an output of other weights.
        """
        if not (self.path(case).exists() and self.sidecar(case).exists()):
            return False
        found, own = json.loads(self.sidecar(case).read_text()).get("WeightsSha256"), checkpoints.sha256(self.weights)
        if found != own:
            rule, remedy = f"was made by the weights {own[:12]}...", "give --overwrite true or another output_dir"
            raise OutputError(str(self.path(case)), rule, f"{str(found)[:12]}...", remedy)
        return True

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

    def write(self, item: Mapping[str, Any], values: Any) -> Path:
        """Write one volume (X, Y, Z) and its sidecar."""
        volume = volume_of(item, values)
        path = self.path(volume.case)
        more = self.format.write(volume, path)
        about = {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": self.bundle,
            "WeightsSha256": checkpoints.sha256(self.weights),
            **({"WeightsTrainedOn": trained_on} if (trained_on := origin(self.weights)) else {}),
            "Source": volume.source_name,
            "Unit": self.unit,
            **more,
        }
        write_text(self.sidecar(volume.case), json.dumps(about, indent=2))
        return path


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
        rule = f"has the source's affine {show_affine(source)}"
        remedy = "let postprocessing begin with Invertd of the preprocessing"
        raise OutputError(f"{item['case']}: synthetic volume", rule, show_affine(own), remedy)

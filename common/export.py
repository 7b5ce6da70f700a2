"""Synthetic volumes on disk: on the source's grid, in the target's unit, whole or not at all, marked as synthetic."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.utils import MetaKeys, convert_to_numpy

from common import checkpoints
from common.data.grids import GRID_TOLERANCE_MM, grid_distance_mm, show_affine
from common.errors import OutputError

logger = logging.getLogger(__name__)
DESCRIPTION_LENGTH = 79
"""Characters that the ``descrip`` field of a NIfTI-1 header holds."""
GRID_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
"""What a header takes from its source, bit for bit; display window, intent and extensions stay the source's own."""


def to_stored(values: np.ndarray, dtype: str, case: str) -> np.ndarray:
    """Values as they are stored: rounded and clipped to an integer type, with a log line where clipping changed any.

    Raises:
        OutputError: for a value that is not finite.
    """
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise OutputError(
            f"{case}: synthetic volume", "is finite", f"{count} voxels of NaN or infinity", "check input and weights"
        )
    if not np.issubdtype(np.dtype(dtype), np.integer):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    rounded = np.rint(values.astype(np.float64))  # float32 would round the limits of int32 beyond them
    if outside := int(((rounded < limits.min) | (rounded > limits.max)).sum()):
        logger.warning(f"{case}: {outside} voxels clipped to {dtype}, [{limits.min}, {limits.max}]")
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def save_like(source: str | Path, values: np.ndarray, path: Path, dtype: str, description: str) -> None:
    """Write a volume on the grid of its source file: same shape, sform, qform, codes and voxel sizes, to the bit.

    Args:
        source: NIfTI file whose grid it is.
        values: (X, Y, Z) in the target's unit.
        path: to write; the name appears only when the file is whole.
        dtype: stored type.
        description: for the header, cut at 79 characters.

    Raises:
        OutputError: where the shape is not the source's, a value is not finite, or the folder cannot be written.
    """
    origin: Any = nib.load(source)
    shape = origin.shape[:3]
    if values.shape != shape:
        raise OutputError(
            f"{path.name}: synthetic volume", f"has the source's shape {shape}", values.shape, "report this as a fault"
        )
    stored = to_stored(values, dtype, path.name)
    header = nib.Nifti1Header()
    for name in GRID_FIELDS:
        header[name] = origin.header[name]
    image = nib.Nifti1Image(stored, origin.affine, header, dtype=np.dtype(dtype))
    image.header.set_slope_inter(1, 0)
    image.header["descrip"] = description[:DESCRIPTION_LENGTH].encode("ascii", "replace")
    write_whole(path, lambda temporary: nib.save(image, temporary))


def write_whole(path: Path, write: Any) -> None:
    """Let ``write`` fill a temporary file that becomes ``path`` when it is whole.

    Raises:
        OutputError: where the folder cannot be written or the disk is full.
    """
    suffix = "".join(path.suffixes[-2:])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=checkpoints.TEMPORARY_PREFIX, suffix=suffix, dir=path.parent)
        os.close(handle)
        try:
            write(name)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = "free space or choose another output_dir"
        raise OutputError(str(path), "can be written", error.strerror or error, remedy) from error


class NiftiExporter:
    """Handler that writes each predicted volume as NIfTI beside a JSON file that says how it came about.

    Args:
        output_dir: receives ``<case>_<suffix>.nii.gz`` and ``.json``.
        suffix: of the name, such as ``synthetic_ct``.
        unit: of the values, such as ``HU``.
        bundle: name and version, for header and JSON.
        weights: file whose hash is written down.
        dtype: stored type.
        overwrite: replace files that exist.
    """

    def __init__(
        self,
        output_dir: str,
        suffix: str,
        unit: str,
        bundle: str,
        weights: str,
        dtype: str = "int16",
        overwrite: bool = False,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.suffix = suffix
        self.unit = unit
        self.bundle = bundle
        self.weights = Path(weights)
        self.dtype = dtype
        self.overwrite = overwrite

    def attach(self, engine: Engine) -> None:
        """Write after the postprocessing of each case."""
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def path(self, case: str) -> Path:
        """Where the volume of a case goes."""
        return self.output_dir / f"{case}_{self.suffix}.nii.gz"

    def require_free(self, cases: list[Mapping[str, Any]]) -> None:
        """Refuse early, before anything is computed, what could not be written later.

        Raises:
            OutputError: for an output that exists without ``overwrite`` or is an input, or an unwritable folder.
        """
        for item in cases:
            path = self.path(str(item["case"]))
            inputs = item["image"] if isinstance(item["image"], list | tuple) else [item["image"]]
            if any(Path(source).resolve() == path.resolve() for source in inputs):
                raise OutputError(str(path), "is not an input of the same run", "the source", "change output_dir")
            for output in (path, _sidecar(path)):
                if output.exists() and not self.overwrite:
                    remedy = "give --overwrite true or another output_dir"
                    raise OutputError(str(output), "does not exist yet", "a file", remedy)
        try:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.output_dir).close()
        except OSError as error:
            value, remedy = error.strerror or error, "choose another output_dir"
            raise OutputError(str(self.output_dir), "is a writable folder", value, remedy) from error

    def __call__(self, engine: Engine) -> None:
        """Write the cases of the engine's batch."""
        batch: Any = engine.state.batch
        for item, output in zip(batch, engine.state.output, strict=True):  # type: ignore[call-overload]
            _require_grid(item, output["pred"])
            self.write(item, convert_to_numpy(output["pred"][0]))  # from whatever device

    def write(self, item: Mapping[str, Any], values: np.ndarray) -> Path:
        """Write one volume (X, Y, Z) in the unit and what is known of it."""
        source = Path(item["image"].meta["filename_or_obj"])
        path = self.path(str(item["case"]))
        save_like(source, values, path, self.dtype, f"SYNTHETIC {self.bundle}, not for clinical use")
        about = {
            "SyntheticData": True,
            "NotForClinicalUse": True,
            "Bundle": self.bundle,
            "WeightsSha256": checkpoints.sha256(self.weights),
            "Source": source.name,
            "Unit": self.unit,
        }
        write_whole(_sidecar(path), lambda temporary: Path(temporary).write_text(json.dumps(about, indent=2)))
        return path


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def _require_grid(item: Mapping[str, Any], pred: Any) -> None:
    """Refuse a prediction that postprocessing did not bring back: its shape alone would not betray a flipped axis.

    Raises:
        OutputError: where its affine, that of the network's input if it has none, is not the source file's.
    """
    own = convert_to_numpy(getattr(pred, "affine", item["image"].affine))
    source = convert_to_numpy(item["image"].meta[MetaKeys.ORIGINAL_AFFINE])
    if grid_distance_mm(tuple(pred.shape[1:]), own, source) > GRID_TOLERANCE_MM:
        rule = f"has the source's affine {show_affine(source)}"
        remedy = "let postprocessing begin with Invertd of the preprocessing"
        raise OutputError(f"{item['case']}: synthetic volume", rule, show_affine(own), remedy)

"""Synthetic volumes on disk: on the source's grid, in the target's unit, whole or not at all, and marked as synthetic."""

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

from common import checkpoints
from common.errors import OutputError

logger = logging.getLogger(__name__)
DESCRIPTION_LENGTH = 79
"""Characters that the ``descrip`` field of a NIfTI-1 header holds."""


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
    rounded = np.rint(values)
    if outside := int(((rounded < limits.min) | (rounded > limits.max)).sum()):
        logger.warning(f"{case}: {outside} voxels clipped to {dtype}, [{limits.min}, {limits.max}]")
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def save_like(source: str | Path, values: np.ndarray, path: Path, dtype: str, description: str) -> None:
    """Write a volume on the grid of its source file: same shape, affine, sform and qform.

    Args:
        source: NIfTI file whose grid it is.
        values: (X, Y, Z) in the target's unit.
        path: to write; the name appears only when the file is whole.
        dtype: stored type.
        description: for the header, cut at 79 characters.

    Raises:
        OutputError: where the shape is not the source's, a value is not finite, or the folder cannot be written.
    """
    header = nib.load(source).header.copy()
    affine = nib.load(source).affine
    shape = header.get_data_shape()[:3]
    if values.shape != shape:
        raise OutputError(
            f"{path.name}: synthetic volume", f"has the source's shape {shape}", values.shape, "report this as a fault"
        )
    stored = to_stored(values, dtype, path.name)
    image = nib.Nifti1Image(stored, affine, header, dtype=np.dtype(dtype))
    image.set_sform(*_form(header.get_sform(coded=True), affine))
    image.set_qform(*_form(header.get_qform(coded=True), affine))
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1, 0)
    image.header["descrip"] = description[:DESCRIPTION_LENGTH].encode("ascii", "replace")
    _write_whole(path, lambda temporary: nib.save(image, temporary))


def _form(coded: tuple, affine: np.ndarray) -> tuple[np.ndarray, int]:
    """A form of the source as it was, or the affine in use where the source left it out."""
    form, code = coded
    return (affine, 1) if form is None or code == 0 else (form, int(code))


def _write_whole(path: Path, write: Any) -> None:
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
        raise OutputError(str(path), "can be written", error.strerror, "free space or choose another output_dir") from error


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
            OutputError: where an output exists and ``overwrite`` is off, or is an input.
        """
        for item in cases:
            path = self.path(str(item["case"]))
            inputs = item["image"] if isinstance(item["image"], list | tuple) else [item["image"]]
            if any(Path(source).resolve() == path.resolve() for source in inputs):
                raise OutputError(str(path), "is not an input of the same run", "the source itself", "change output_dir")
            if path.exists() and not self.overwrite:
                raise OutputError(str(path), "does not exist yet", "a file", "give --overwrite true or another output_dir")

    def __call__(self, engine: Engine) -> None:
        """Write the cases of the engine's batch."""
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            self.write(item, np.asarray(output["pred"][0]))

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
        sidecar = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
        _write_whole(sidecar, lambda temporary: Path(temporary).write_text(json.dumps(about, indent=2)))
        return path

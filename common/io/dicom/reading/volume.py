"""DICOM series as a volume: no geometry and no value is guessed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ....errors import Finding, Where
from ...scan import Scan
from ..validation import without_validation
from .geometry import stack_geometry
from .headers import Slice, element_text
from .orthogonal import resample
from .series import SeriesOptions, find_series
from .values import read_voxels


@without_validation
def load_series(folder: str | Path, case: str, options: SeriesOptions | None = None) -> Scan:
    """Read one series of a folder; pixels are decoded only after all headers passed their checks.

    Args:
        folder: of the files, without sub-folders; files that are no slices are ignored and counted in a note.
        case: for messages.
        options: series and acquisition to take, and whether to resample.

    Raises:
        VolumeError: naming case, folder, fault, value and remedy, without values that could identify the patient.
        DataError: for another modality than that of the options.
    """
    folder, options = Path(folder), options or SeriesOptions()
    where = partial(Finding, case, folder.name)
    stack, notes = find_series(folder, case, options)
    geometry = stack_geometry(stack, options.resample_tilt, where)
    voxels = read_voxels(stack, where)
    values = voxels.values if geometry.resampling is None else resample(voxels.values, geometry.resampling)
    return Scan(
        values,
        geometry.affine,
        (*notes, *geometry.notes, *voxels.notes, *_of_an_animal(stack.slices, where)),
        element_text(stack.slices[0], "SeriesInstanceUID", where),
        voxels.unit,
        voxels.modality,
        [each.header for each in stack.slices],
    )


def _of_an_animal(slices: Sequence[Slice], where: Where) -> list[Finding]:
    if not any(element_text(each, "AnatomicalOrientationType", where) == "QUADRUPED" for each in slices):
        return []
    remedy = "networks were trained on persons: results may look plausible and be wrong"
    return [where("the patient is an animal", "AnatomicalOrientationType QUADRUPED", remedy, "warning")]

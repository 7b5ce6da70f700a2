"""A folder with a DICOM series as one volume, or a refusal: nothing about its geometry or its values is guessed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from common.errors import Finding
from common.io.dicom.reading.geometry import locate
from common.io.dicom.reading.headers import text
from common.io.dicom.reading.orthogonal import resample
from common.io.dicom.reading.series import SeriesOptions, find_series
from common.io.dicom.reading.values import read_voxels
from common.io.dicom.validation import without_validation

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeriesVolume:
    """A series as a volume.

    Attributes:
        values: float32 (X, Y, Z) along columns, rows and slices.
        affine: (4, 4) to RAS mm.
        uid: SeriesInstanceUID.
        modality: such as CT.
        unit: HU of CT, SUV (or the stored unit) of PET, None where headers tell none.
        notes: what was left out, assumed or corrected, as warnings.
        headers: one for each slice that was read, see :func:`common.io.dicom.reading.series.source_headers`.
    """

    values: np.ndarray
    affine: np.ndarray
    uid: str
    modality: str
    unit: str | None
    notes: tuple[Finding, ...]
    headers: list[Dataset]


@without_validation
def load_series(folder: str | Path, case: str, options: SeriesOptions | None = None) -> SeriesVolume:
    """Read the one series of a folder: headers are judged first, pixels are decoded only where they can be trusted.

    Args:
        folder: its files, not its sub-folders; what is no slice is left out and counted.
        case: for messages.
        options: which series and acquisition to take, and whether to resample; none by default.

    Raises:
        VolumeError: naming case, folder, rule, value and remedy; no value that could tell who the patient is.
    """
    folder, options = Path(folder), options or SeriesOptions()
    where = partial(Finding, case, folder.name)
    stack, notes = find_series(folder, case, options)
    geometry = locate(stack, options.resample_tilt, where)
    modality = text(stack.slices[0], "Modality", where)
    voxels = read_voxels(stack, modality, where)
    if voxels.formula:
        logger.info(f"{case}: {voxels.formula}")
    values = voxels.values if geometry.resampling is None else resample(voxels.values, geometry.resampling)
    return SeriesVolume(
        values,
        geometry.affine,
        text(stack.slices[0], "SeriesInstanceUID", where),
        modality,
        voxels.unit,
        (*notes, *geometry.notes, *voxels.notes),
        [each.header for each in stack.slices],
    )


def read_series(folder: str | Path, case: str, options: SeriesOptions | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The values (X, Y, Z) and the affine (4, 4) to RAS mm of :func:`load_series`, its notes left aside.

    Raises:
        VolumeError: as there.
    """
    volume = load_series(folder, case, options)
    return volume.values, volume.affine

"""Volumes by their path: a NIfTI file, or the folder of a DICOM series."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import Finding, VolumeError
from common.io.dicom.reading.headers import holds_series
from common.io.dicom.reading.series import SeriesOptions
from common.io.dicom.reading.volume import load_series
from common.io.nifti.reading import is_constant, read_header, read_values

logger = logging.getLogger(__name__)
DICOM_SUFFIXES = (".dcm", ".ima")


@dataclass(frozen=True)
class Scan:
    """Values float32 (X, Y, Z), or (C, X, Y, Z), their RAS affine (4, 4) and what was odd about them.

    Of a DICOM series its SeriesInstanceUID, and its unit where headers tell it.
    """

    values: np.ndarray
    affine: np.ndarray
    warnings: tuple[Finding, ...]
    series_uid: str | None = None
    unit: str | None = None


def read_scan(
    path: str | Path,
    case: str,
    nan_fill: float | None = None,
    channels: int | None = None,
    options: SeriesOptions | None = None,
) -> Scan:
    """Read a volume with every check of its kind; nothing is logged of what was odd.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file, or a folder whose files are the slices of a DICOM series.
        case: for messages.
        nan_fill: replaces NaN and Inf of a file, which are errors otherwise.
        channels: of a file of several.
        options: which series of a folder, and how.

    Raises:
        VolumeError: naming case, file, rule, value and remedy.
    """
    path = Path(path)
    if path.is_dir():
        series = load_series(path, case, options)
        return Scan(series.values, series.affine, series.notes, series.uid, series.unit)
    if path.suffix.lower() in DICOM_SUFFIXES:
        rule, remedy = "a DICOM series is given by its folder", "give the folder of its files"
        raise VolumeError(Finding(case, path.name, rule, "one file", remedy))
    header = read_header(path, case, channels)
    return Scan(read_values(header, nan_fill), header.affine, header.warnings)


def read_logged(
    path: str | Path,
    case: str,
    nan_fill: float | None = None,
    channels: int | None = None,
    options: SeriesOptions | None = None,
) -> Scan:
    """:func:`read_scan` that logs whatever is odd but usable, such as a constant image.

    Raises:
        VolumeError: as there.
    """
    scan = read_scan(path, case, nan_fill, channels, options)
    for finding in scan.warnings:
        logger.warning("%s", finding)
    if is_constant(scan.values):
        logger.warning("%s (%s): every voxel is %g", case, Path(path).name, scan.values.flat[0])
    return scan


def volume_path(folder: Path, name: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Where ``folder`` has a volume of this name: files ``<name><suffix>``, and ``<name>/`` with a DICOM series."""
    found = [path for suffix in suffixes if (path := folder / f"{name}{suffix}").is_file()]
    return [*found, folder / name] if holds_series(folder / name) else found

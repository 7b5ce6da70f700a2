"""A CT series of DICOM slices as one volume in HU, or a refusal: nothing about its geometry is guessed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from common.data.findings import Finding, VolumeError, Where

GAP_TOLERANCE_MM = 0.01
"""Slices are this evenly spaced and lie this straight above each other."""
NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_series(folder: Path, case: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read the one series in a folder; files that are no DICOM are passed over.

    Returns:
        values in HU, (X, Y, Z) along columns, rows and slices, and the affine (4, 4) to RAS mm.

    Raises:
        VolumeError: no slices, several series, other shapes or orientations, missing fields, uneven gaps, a tilt, or
            slices that cannot be decoded.
    """
    where = partial(Finding, case, folder.name)
    slices = _slices(folder)
    if not slices:
        raise VolumeError(where("the folder holds a DICOM series", "no slices", "give the series' own folder"))
    _require_one("SeriesInstanceUID", "one series", slices, where)
    for name in NEEDED:
        if lacking := sum(name not in each for each in slices):
            rule = f"every slice has {name}"
            raise VolumeError(where(rule, f"{lacking} of {len(slices)} without", "export the series again"))
    for name, rule in {
        "Rows": "slices of one size",
        "Columns": "slices of one size",
        "ImageOrientationPatient": "slices of one orientation",
        "PixelSpacing": "one pixel spacing",
    }.items():
        _require_one(name, rule, slices, where)
    across, down = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(across, down)
    slices.sort(key=lambda each: float(np.dot(normal, each.ImagePositionPatient)))
    step = _step(np.array([each.ImagePositionPatient for each in slices], float), normal, where)
    row_mm, column_mm = map(float, slices[0].PixelSpacing)  # between rows first
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = across * column_mm, down * row_mm, step
    affine[:3, 3] = slices[0].ImagePositionPatient
    return np.stack([_values(each, where) for each in slices], axis=2), LPS_TO_RAS @ affine


def _slices(folder: Path) -> list[Any]:
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            found.append(pydicom.dcmread(path))
        except InvalidDicomError:
            continue
    return [each for each in found if "Rows" in each]


def _require_one(name: str, rule: str, slices: list[Any], where: Where) -> None:
    values = {str(each.get(name)) for each in slices}
    if len(values) > 1:
        raise VolumeError(where(f"the folder holds {rule}", f"{len(values)} values of {name}", "keep one of them"))


def _step(positions: NDArray[np.float64], normal: NDArray[np.float64], where: Where) -> NDArray[np.float64]:
    """From one slice to the next, in mm."""
    if len(positions) < 2:
        raise VolumeError(where("a series has at least 2 slices", f"{len(positions)}", "give the whole series"))
    steps = np.diff(positions, axis=0)
    gaps = steps @ normal
    if gaps.max() - gaps.min() > GAP_TOLERANCE_MM:
        found = f"gaps from {gaps.min():.3f} to {gaps.max():.3f} mm"
        raise VolumeError(where("slices are evenly spaced", found, "find the missing or doubled slice, or resample"))
    mean = steps.mean(axis=0)
    tilt = float(np.linalg.norm(mean - normal * (mean @ normal)))
    if tilt > GAP_TOLERANCE_MM:
        raise VolumeError(where("slices lie straight above each other", f"a tilt of {tilt:.3f} mm a slice", "resample"))
    return mean


def _values(each: Any, where: Where) -> NDArray[np.float32]:
    try:
        stored = each.pixel_array
    except Exception as error:  # pydicom and its codecs have many types for pixels that cannot be decoded
        reason = f"{type(error).__name__} ({error})"
        raise VolumeError(where("pixels can be decoded", reason, "install its codec, or convert the series")) from error
    return (stored.T * float(each.RescaleSlope) + float(each.RescaleIntercept)).astype(np.float32)

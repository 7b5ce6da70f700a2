"""Scores of a synthetic volume from files, with the conditions they were measured under."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.errors import ConfigError, DataError
from common.grids import reoriented, require_grid
from common.io import Scan, VolumeReader
from common.io.export.outputs import written_about
from common.io.modality import IN_HU, modality_of
from common.io.reader import VOLUMES
from common.metrics import CT_RANGE, HFEN_SIGMA, score
from common.metrics.attenuation import attenuation_errors
from common.metrics.masked import mask_fault
from common.metrics.undefined import INFINITE, why_undefined
from common.units import BONE_ABOVE_HU, HU


def score_files(
    pred: Path,
    truth: Path,
    mask: Path,
    unit: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> dict[str, object]:
    """Metrics of a synthetic volume from files on one grid (X, Y, Z), with the conditions they were measured under.

    Their axes may be stored in any order and direction.

    Args:
        pred: synthetic volume.
        truth: real volume in the same unit.
        mask: voxels to score, above 0 inside.
        unit: of both; by default that of the JSON file next to ``pred``, or of the DICOM header of one of them.
        value_range: that psnr, ssim, ms_ssim and vif clip to; by default that of CT for HU.

    Returns:
        The metrics of :func:`common.metrics.score`, None where one is undefined or infinite, with the reasons by name
        under ``undefined``, and ``value_range``, ``mask_voxels``, ``unit`` ("as stored" where it is unknown) and
        ``hfen_sigma_voxels``.

    Raises:
        DataError: a file cannot be read, shapes, affines or units differ, or :func:`common.metrics.score` rejects the
            values.
        ConfigError: there is no value range, or :func:`common.metrics.score` rejects it.
    """
    scans = _scans(pred, truth, mask)
    unit = unit or _unit(pred, scans)
    if value_range is None:
        value_range = _range_of(unit)
    arrays = {name: scan.values for name, scan in scans.items()}
    measures = score(arrays["pred"], arrays["truth"], arrays["mask"], value_range)
    return {
        **_plain(measures),
        "value_range": list(value_range),
        "mask_voxels": int(np.count_nonzero(arrays["mask"] > 0)),
        "unit": unit or "as stored",
        "hfen_sigma_voxels": HFEN_SIGMA,
    }


def _unit(pred: Path, scans: Mapping[str, Scan]) -> str | None:
    """The unit of prediction and truth that the JSON file of a synthetic volume or a DICOM header names, if any.

    Raises:
        DataError: they have different units, or one is in HU and the other is not recognised as a CT.
    """
    stem = next((pred.name[: -len(end)] for end in VOLUMES if pred.name.lower().endswith(end)), pred.name)
    written = written_about(pred.with_name(f"{stem}.json")).get("Unit")
    units = {"pred": str(written) if written else scans["pred"].unit, "truth": scans["truth"].unit}
    known = sorted({unit for unit in units.values() if unit})
    if len(known) > 1:
        fault = f"pred is in {units['pred']}, but truth in {units['truth']}"
        raise DataError(fault, "convert one of them, or give the --unit of both")
    for name, unit in units.items():
        if known == [HU] and not unit and modality_of(scans[name].values) != IN_HU:
            raise DataError(f"{name} is not recognised as CT in HU, as the other is", f"give --unit {HU} if it is")
    return known[0] if known else None


def _range_of(unit: str | None) -> tuple[float, float]:
    if unit == HU:
        return CT_RANGE
    if unit is None:
        raise ConfigError(
            "unit of pred and truth is unknown, without a JSON file of pred or a DICOM header of CT or PET",
            f"give --unit {HU} for CT, or --value_range LOW HIGH, and --unit, for others",
        )
    raise ConfigError(f"no value range is known for {unit}, to which psnr and ssim clip", "give --value_range LOW HIGH")


def attenuation_of_files(
    pred: Path, truth: Path, mask: Path, kvp: int = 120, bone_hu: float = BONE_ABOVE_HU
) -> dict[str, object]:
    """Errors of a synthetic CT, of water and of four classes as attenuation maps, from files on one grid (X, Y, Z).

    Returns:
        The maps of :func:`common.metrics.attenuation.attenuation_errors`, None where a measure is undefined, with
        the reasons by name under ``undefined``, and
        ``kvp`` and ``bone_hu``.

    Raises:
        DataError: a file cannot be read, shapes or affines differ, or the truth is no CT in HU.
        ConfigError: unknown ``kvp``, or bone does not begin above fat.
    """
    scans = _scans(pred, truth, mask)
    arrays = {name: scan.values for name, scan in scans.items()}
    errors = attenuation_errors(**arrays, affine=scans["truth"].affine, kvp=kvp, bone_hu=bone_hu)
    return {**{name: _plain(measures) for name, measures in errors.items()}, "kvp": kvp, "bone_hu": bone_hu}


def _scans(pred: Path, truth: Path, mask: Path) -> dict[str, Scan]:
    """The three volumes by their names, with their axes in the order and direction of the truth's.

    Raises:
        DataError: a file cannot be read, or is on another grid than the truth.
    """
    reader = VolumeReader()
    scans = {name: reader.read(path, name) for name, path in (("truth", truth), ("pred", pred), ("mask", mask))}
    reference = scans["truth"]
    for name, scan in scans.items():
        values, affine = reoriented(scan.values, scan.affine, reference.affine)
        scan = scans[name] = replace(scan, values=values, affine=affine)
        own, wanted = ((each.values.shape, each.affine) for each in (scan, reference))
        require_grid(name, *own, *wanted, "resample it or fix its affine", "the truth")
    if faulty := mask_fault(scans["mask"].values, reference.values):
        raise DataError(f"mask {faulty[0]}", faulty[1])
    return scans


def _plain(measures: Mapping[str, float]) -> dict[str, object]:
    """Measures as JSON has them: None for one without a finite value, and why under ``undefined``."""
    missing = {name: value for name, value in measures.items() if not math.isfinite(value)}
    reasons = {name: why_undefined(name) if math.isnan(value) else INFINITE for name, value in missing.items()}
    plain = {name: None if name in missing else value for name, value in measures.items()}
    return plain | ({"undefined": reasons} if reasons else {})

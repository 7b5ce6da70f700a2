"""Scores of a synthetic volume, with the conditions they were measured under."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, DataError
from common.io.picture_files import is_picture
from common.units import BONE_ABOVE_HU, HU
from medical_image_synthesis.quiet import without_traces
from medical_image_synthesis.volumes import Volume, as_volume, require_one_channel, require_there

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)
UNDEFINED = "undefined"
"""Entry of a row's ``attrs``: why a metric has no finite value, by its name."""


@without_traces()
def score(
    pred: Any,
    truth: Any,
    mask: Any = None,
    unit: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> pd.Series:
    """Metrics of a synthetic volume on the grid of the real one, as ``synthesize evaluate`` and ``score`` give them.

    Their axes may be stored in any order and direction. Evaluations have these metrics in ``metrics.csv``, next to
    further ones of each bundle.

    Args:
        pred: synthetic volume: a file, a folder of a DICOM series, an image of nibabel or SimpleITK, a MetaTensor,
            (array, affine), or the result of an inference; (X, Y, Z).
        truth: real volume in the same unit.
        mask: voxels to score, above 0 inside; files of two pictures need none, and take neither unit nor range.
        unit: of both; by default that of the JSON file next to a synthetic volume, of the DICOM header, or of a result.
        value_range: that psnr, ssim, ms_ssim and vif clip to; by default that of CT for HU.

    Returns:
        A row with the metrics of :func:`common.metrics.score`, and for HU of :func:`common.metrics.ct_scores`, for
        pictures of :func:`common.metrics.picture_scores`, as floats, named as the volume; NaN where one is
        undefined or infinite. Its ``attrs`` are ``unit`` ("as stored" where it is unknown), ``units`` of the metrics
        by their names, ``value_range``, ``mask_voxels``, ``hfen_sigma_voxels``, and ``undefined``, the reasons why by
        the names of metrics without a value.

    Raises:
        DataError: a volume cannot be read, shapes, affines or units differ, or :func:`common.metrics.score` rejects the
            values.
        ConfigError: there is no value range, or :func:`common.metrics.score` rejects it.

    Example::

        import medical_image_synthesis as mis

        row = mis.score("ct.nii.gz", "truth.nii.gz", mask="mask.nii.gz", unit="HU")
        print(row["mae"], row.attrs["units"]["mae"])
    """
    return score_row(pred, truth, mask, unit, value_range)


def score_row(
    pred: Any, truth: Any, mask: Any = None, unit: str | None = None, value_range: tuple[float, float] | None = None
) -> pd.Series:
    """:func:`score`, whose mistakes name options of the command line."""
    if all(isinstance(each, str | os.PathLike) and is_picture(Path(each)) for each in (pred, truth)):
        if unit or value_range:
            raise ConfigError("--unit and --value_range are for volumes, pictures have levels of 0 to 255", "omit them")
        return _picture_row(pred, truth, mask)
    require_there(pred, "pred")
    require_there(truth, "truth")
    if mask is None:
        raise ConfigError("--mask is missing, without which the background would count", "pass the mask")
    volumes = _volumes(pred, truth, mask)
    import numpy as np

    from common.evaluation.report.metric_info import metric_info
    from common.io.modality import NOT_IN_HU, modality_of
    from common.metrics import HFEN_SIGMA, ct_scores
    from common.metrics import score as scores_of

    unit = unit or _unit(volumes)
    limits = _range_of(unit) if value_range is None else (value_range[0], value_range[1])
    arrays = {name: volume.array for name, volume in volumes.items()}
    for name in ("pred", "truth"):
        if unit == HU and modality_of(arrays[name]) == NOT_IN_HU:
            remedy = "convert it to HU (slope, offset 1024)"
            logger.warning(f"{volumes['pred'].name}: {name} is {NOT_IN_HU}, but is scored in HU; {remedy}")
    measures = scores_of(arrays["pred"], arrays["truth"], arrays["mask"], limits)
    measures |= ct_scores(arrays["pred"], arrays["truth"], arrays["mask"]) if unit == HU else {}
    row = _row(measures, volumes["pred"].name)
    shown = unit or "as stored"
    row.attrs |= {
        "value_range": limits,
        "mask_voxels": int(np.count_nonzero(arrays["mask"] > 0)),
        "unit": shown,
        "hfen_sigma_voxels": HFEN_SIGMA,
        "units": {name: metric_info(name).in_unit(shown) for name in row.index},
    }
    return row


def _picture_row(pred: Any, truth: Any, mask: Any) -> pd.Series:
    """The scores of a picture."""
    volumes = _volumes(pred, truth, mask, pictures=True)
    import numpy as np

    from common.evaluation.report.metric_info import metric_info
    from common.grids import channels_last
    from common.metrics import picture_scores
    from common.metrics.pictures import LEVELS_RANGE
    from common.units import LEVELS

    made, real = (
        channels_last(volumes[name].array.reshape(-1, *volumes[name].array.shape[-3:])) for name in ("pred", "truth")
    )
    inside = volumes["mask"].array if mask is not None else np.ones(real.shape[:3], bool)
    row = _row(picture_scores(made, real, inside), volumes["pred"].name)
    units = {name: metric_info(name).in_unit(LEVELS) for name in row.index}
    about = {"value_range": LEVELS_RANGE, "mask_voxels": int(np.count_nonzero(inside)), "unit": LEVELS, "units": units}
    row.attrs |= about
    return row


@without_traces()
def attenuation(
    pred: Any, truth: Any, mask: Any, kvp: int = 120, bone_hu: float = BONE_ABOVE_HU
) -> dict[str, pd.Series]:
    """Errors of a synthetic CT as attenuation map of PET, next to those of water and of four classes.

    Args:
        pred: synthetic CT in HU, as :func:`score` takes it.
        truth: real CT in HU on the same grid.
        mask: the head, above 0 inside.
        kvp: tube voltage of the CT in kV.
        bone_hu: lower threshold of the class bone in HU.

    Returns:
        For ``synthetic``, ``water`` and ``classes`` a row with the measures of
        :func:`common.metrics.attenuation.ray_errors`, NaN where one is undefined, with the reasons in its ``attrs``.

    Raises:
        DataError: a volume cannot be read, shapes or affines differ, or the truth is no CT in HU.
        ConfigError: unknown ``kvp``, or bone does not begin above fat.

    Example::

        import medical_image_synthesis as mis

        rows = mis.attenuation("ct.nii.gz", "truth.nii.gz", mask="mask.nii.gz", kvp=120)
        print(rows["synthetic"]["attenuation_bias"], rows["water"]["attenuation_bias"])
    """
    return attenuation_rows(pred, truth, mask, kvp, bone_hu)


def attenuation_rows(
    pred: Any, truth: Any, mask: Any, kvp: int = 120, bone_hu: float = BONE_ABOVE_HU
) -> dict[str, pd.Series]:
    """:func:`attenuation`, whose mistakes name options of the command line."""
    volumes = _volumes(pred, truth, mask)
    from common.metrics.attenuation import attenuation_errors

    arrays = {name: volume.array for name, volume in volumes.items()}
    errors = attenuation_errors(**arrays, affine=volumes["truth"].affine, kvp=kvp, bone_hu=bone_hu)
    return {name: _row(measures, name) for name, measures in errors.items()}


def _unit(volumes: Mapping[str, Volume]) -> str | None:
    """The unit of prediction and truth, where one of them is known.

    Raises:
        DataError: they have different units, or one is in HU and the other is not recognised as a CT.
    """
    from common.io.modality import IN_HU, modality_of

    units = {name: volumes[name].unit for name in ("pred", "truth")}
    known = sorted({unit for unit in units.values() if unit})
    if len(known) > 1:
        fault = f"pred is in {units['pred']}, but truth in {units['truth']}"
        raise DataError(fault, "convert one of them, or give the --unit of both")
    for name, unit in units.items():
        if known == [HU] and not unit and modality_of(volumes[name].array) != IN_HU:
            raise DataError(f"{name} is not recognised as CT in HU, as the other is", f"give --unit {HU} if it is")
    return known[0] if known else None


def _range_of(unit: str | None) -> tuple[float, float]:
    from common.metrics import CT_RANGE

    if unit == HU:
        return CT_RANGE
    if unit is None:
        raise ConfigError(
            "unit of pred and truth is unknown, without a JSON file of pred or a DICOM header of CT or PET",
            f"give --unit {HU} for CT, or --value_range LOW HIGH, and --unit, for others",
        )
    raise ConfigError(f"no value range is known for {unit}, to which psnr and ssim clip", "give --value_range LOW HIGH")


def _volumes(pred: Any, truth: Any, mask: Any, pictures: bool = False) -> dict[str, Volume]:
    """The three volumes by their names, with their axes in the order and direction of the truth's; no mask if None.

    Raises:
        DataError: one cannot be read, has channels but for pictures, or is on another grid than the truth.
    """
    given = {name: each for name, each in (("truth", truth), ("pred", pred), ("mask", mask)) if each is not None}
    for name in sorted(given, key=("pred", "truth", "mask").index):
        require_there(given[name], name)
    from common.grids import reoriented, require_grid
    from common.io import VolumeReader
    from common.metrics.masked import mask_fault

    reader = VolumeReader(pictures=pictures)
    volumes = {name: as_volume(source, name, reader) for name, source in given.items()}
    reference = volumes["truth"]
    for name, volume in volumes.items():
        if not pictures or name == "mask":
            require_one_channel(volume, name)
        array, affine = reoriented(volume.array, volume.affine, reference.affine)
        volumes[name] = replace(volume, array=array, affine=affine)
        shape, wanted = array.shape[-3:], reference.array.shape[-3:]
        remedy = "resample it or fix its affine"
        require_grid(name, shape, affine, wanted, reference.affine, remedy, "the truth")
    first = reference.array.reshape(-1, *reference.array.shape[-3:])[0]
    if "mask" in volumes and (faulty := mask_fault(volumes["mask"].array, first)):
        raise DataError(f"mask {faulty[0]}", faulty[1])
    return volumes


def _row(measures: Mapping[str, float], name: str) -> pd.Series:
    """Measures as a row: NaN for one without a finite value, and why in its ``attrs``."""
    import pandas as pd

    from common.metrics.undefined import INFINITE, why_undefined

    missing = {each: value for each, value in measures.items() if not math.isfinite(value)}
    row = pd.Series(dict(measures), name=name, dtype=float)
    row[list(missing)] = math.nan
    row.attrs[UNDEFINED] = {
        each: why_undefined(each) if math.isnan(value) else INFINITE for each, value in missing.items()
    }
    return row

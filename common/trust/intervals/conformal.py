"""Split-conformal calibration of the half width of intervals, by tissue group and by case.

The score of a voxel is its error relative to its spread (Lei et al. 2018, section 5.2; Angelopoulos and Bates 2021,
section 2.3). Voxels of one case are not exchangeable with those of another, cases are: a case has one score in a
group, the quantile of the scores of its voxels, and the conformal quantile is taken over cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...config.checks import HU
from ...errors import ConfigError, DataError
from ...metrics.tissue import AIR_HU, BONE_HU, TISSUES

ALL = "all"
"""The group of every voxel: the only one of a unit other than HU, and the one of groups that few cases have."""
LESION = "lesion"
"""The group of the voxels of a lesion mask, which a map does not know: its interval is for the check alone."""
LEAST_VOXELS = 50
"""A case with fewer voxels of a group has no score in it."""
FLOORS = (1, 3, 10, 30, 100, 1000)
"""[chosen] Floors that are tried, in medians of the spread: the narrower the intervals get by a high one, the less the
spread says of the error; with the last their width is constant but for thousandths."""
GAIN = 0.01
"""[chosen] By how much narrower a higher floor must make the intervals."""
DIGITS = 9
"""Decimals to which a rank is rounded, so that 10 x 0.9 is 9 and not the next integer."""


class Interval(NamedTuple):
    """Half width of a group: ``factor`` times (spread + ``floor``), from so many ``cases``; ``floor`` in the unit."""

    factor: float
    floor: float
    cases: int


class Sample(NamedTuple):
    """Voxels of one case inside its mask: prediction, spread, absolute error (N,), in the target's unit.

    ``lesion`` (N,) is true in lesions, and None where the case has no lesion mask; ``window`` is the range of the
    training targets, and None where none is recorded.
    """

    prediction: np.ndarray
    spread: np.ndarray
    error: np.ndarray
    lesion: np.ndarray | None = None
    window: tuple[float, float] | None = None

    def groups(self, unit: str) -> dict[str, np.ndarray]:
        """Those of :func:`groups_of`, then ``LESION`` where the case has a lesion mask."""
        known = {} if self.lesion is None else {LESION: self.lesion}
        return groups_of(self.prediction, unit) | known

    def within(self, where: np.ndarray) -> Sample:
        """The voxels of a mask (N,)."""
        return Sample(self.prediction[where], self.spread[where], self.error[where], window=self.window)


def cut(widths: np.ndarray, prediction: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Half widths of which none reaches beyond the further end of the targets' range, where that is known."""
    if window is None:
        return widths
    ends = np.maximum(prediction - window[0], window[1] - prediction).astype(widths.dtype, copy=False)
    return np.asarray(np.minimum(widths, ends))


def groups_of(prediction: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """Masks of the tissue groups, by their name, of a prediction of any shape; the truth is unknown in use.

    In HU: ``air`` below ``AIR_HU``, ``bone`` above ``BONE_HU`` and ``soft``; no group in other units.
    """
    if unit != HU:
        return {}
    air, bone = prediction < AIR_HU, prediction > BONE_HU
    return dict(zip(TISSUES, (air, ~(air | bone), bone), strict=True))


def cases_needed(case_level: float) -> int:
    """The fewest cases n whose conformal quantile is finite: ceil((n + 1) case_level) <= n.

    Raises:
        ConfigError: for a level outside (0, 1).
    """
    require_level("case_level", case_level)
    return max(1, math.ceil(round(case_level / (1 - case_level), DIGITS)))


def require_level(name: str, level: float) -> None:
    """Refuse a level that is no share.

    Raises:
        ConfigError: for a value outside (0, 1).
    """
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ConfigError(f"--{name}", "lies between 0 and 1", level, "give for example 0.9")


def conformal_quantile(scores: Sequence[float], case_level: float) -> float:
    """The ceil((n + 1) case_level)-th smallest of n scores (Angelopoulos and Bates 2021, section 1).

    Raises:
        DataError: for fewer scores than :func:`cases_needed`.
    """
    needed = cases_needed(case_level)
    if len(scores) < needed:
        rule = f"has at least {needed} cases for --case_level {case_level:g}"
        remedy = "give more held-out cases by --datalist, or a lower --case_level (0.5 promises the median case)"
        raise DataError("calibration", rule, len(scores), remedy)
    rank = math.ceil(round((len(scores) + 1) * case_level, DIGITS))
    return float(np.sort(scores)[rank - 1])


def fitted(samples: Sequence[Sample], unit: str, level: float, case_level: float) -> dict[str, Interval]:
    """The intervals of every group that enough cases have, and of ``all``.

    Args:
        samples: of calibration cases.
        unit: of the target.
        level: share of a case's voxels of a group that lie within the interval.
        case_level: share of the cases in which they do; exchangeable cases only.

    Raises:
        DataError: for too few cases.
        ConfigError: for a level outside (0, 1).
    """
    require_level("level", level)
    conformal_quantile([0.0] * len(samples), case_level)
    parts: dict[str, list[Sample]] = {ALL: list(samples)}
    for sample in samples:
        for name, where in sample.groups(unit).items():
            if np.count_nonzero(where) >= LEAST_VOXELS:
                parts.setdefault(name, []).append(sample.within(where))
    kept = {name: part for name, part in parts.items() if len(part) >= cases_needed(case_level)}
    return {name: _interval(part, level, case_level) for name, part in kept.items()}


def _interval(samples: Sequence[Sample], level: float, case_level: float) -> Interval:
    """The interval of the floor that is narrowest on average; see :data:`FLOORS`."""
    medians = [float(np.median(sample.spread)) for sample in samples]
    mean = float(np.mean([np.mean(sample.spread) for sample in samples]))
    usual = float(np.median(medians)) or mean or 1.0  # without any spread, of constant width
    best, narrowest = None, math.inf
    for floor in (times * usual for times in FLOORS):
        scores = [float(np.quantile(each.error / (each.spread + floor), level, method="higher")) for each in samples]
        factor = conformal_quantile(scores, case_level)
        if best is None or factor * (mean + floor) < (1 - GAIN) * narrowest:
            best, narrowest = Interval(factor, floor, len(samples)), factor * (mean + floor)
    assert best is not None
    return best


def half_widths(prediction: np.ndarray, spread: np.ndarray, intervals: Mapping[str, Interval], unit: str) -> np.ndarray:
    """Half width of the interval of every voxel, float32, of the shape of ``prediction``, in its unit.

    Args:
        prediction: in the target's unit, any shape.
        spread: of the same shape and unit.
        intervals: of :func:`fitted`; a group without its own has that of ``all``.
        unit: of the target.
    """
    common = intervals[ALL]
    widths: np.ndarray = common.factor * (np.asarray(spread, dtype=np.float32) + np.float32(common.floor))
    for name, where in groups_of(prediction, unit).items():
        if name in intervals:
            own = intervals[name]
            widths[where] = own.factor * (spread[where] + own.floor)
    return np.asarray(widths, dtype=np.float32)

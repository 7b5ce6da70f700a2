"""Split-conformal prediction intervals of voxels, by tissue and by case.

An interval is prediction +- half-width. The half-width of a tissue is constant, or grows with the noise that a
restoration removed around a voxel, here the spread, where that makes it much narrower (Lei et al. 2018, section 5.2;
Angelopoulos and Bates 2021, section 2.3). Voxels of one case are not exchangeable with those of another, cases are: the
score of a case is a quantile over its voxels, and the conformal quantile is taken over cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from ..errors import ConfigError, DataError
from ..units import HU, tissues_of

ALL = "all"
"""The one group of a unit other than HU."""
LEAST_VOXELS = 50
"""A case with fewer voxels of a group has no score in it."""
FLOORS = (0.3, 1, 3, 10)
"""[chosen] What is tried as constant part of a half-width that grows with the spread, in medians of the spread."""
GAIN = 0.1
"""[chosen] By how much narrower the spread must make intervals."""
REMOVED_VOXELS = 3.0
"""[chosen] standard deviation of the Gaussian over which what was removed is averaged: 1.5 to 5 cover alike."""
DIGITS = 9
"""Decimals to which a rank is rounded, so that 10 x 0.9 is 9 and not the next integer."""


class Interval(NamedTuple):
    """Half-width of a group, ``constant`` + ``per_spread`` x spread, fitted on ``cases``; ``constant`` in the unit."""

    constant: float
    per_spread: float
    cases: int


class VoxelErrors(NamedTuple):
    """Voxels of one case inside its mask: prediction, spread, absolute error (N,), in the target's unit.

    ``lesion`` (N,) is true in lesions, and None where the case has no lesion mask; ``window`` is the range of the
    training targets, and None where none is recorded.
    """

    prediction: np.ndarray
    spread: np.ndarray
    error: np.ndarray
    lesion: np.ndarray | None = None
    window: tuple[float, float] | None = None

    def within(self, where: np.ndarray) -> VoxelErrors:
        """The voxels of a mask (N,)."""
        return VoxelErrors(self.prediction[where], self.spread[where], self.error[where], window=self.window)


def cut(widths: np.ndarray, prediction: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Half-widths, none beyond the further end of the targets' range, where that is known."""
    if window is None:
        return widths
    ends = np.maximum(prediction - window[0], window[1] - prediction).astype(widths.dtype, copy=False)
    return np.asarray(np.minimum(widths, ends))


def groups_of(prediction: np.ndarray, unit: str) -> dict[str, np.ndarray]:
    """Masks of the groups, by their name, of a prediction of any shape; the truth is unknown in use.

    In HU: ``air`` below ``AIR_BELOW_HU``, ``bone`` above ``BONE_ABOVE_HU`` and ``soft``; ``all`` in other units.
    """
    if unit != HU:
        return {ALL: np.ones(prediction.shape, dtype=bool)}
    return tissues_of(prediction)


def cases_needed(case_level: float) -> int:
    """The fewest cases n whose conformal quantile is finite: ceil((n + 1) case_level) <= n.

    Raises:
        ConfigError: for a level outside (0, 1).
    """
    require_level("case_level", case_level)
    return max(1, math.ceil(round(case_level / (1 - case_level), DIGITS)))


def require_level(name: str, level: float) -> None:
    """Refuse a level that is not a share.

    Raises:
        ConfigError: for a value outside (0, 1).
    """
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise ConfigError(f"--{name} is {level!r}, not between 0 and 1", "pass a number such as 0.9")


def conformal_quantile(scores: Sequence[float], case_level: float) -> float:
    """The ceil((n + 1) case_level)-th smallest of n scores (Angelopoulos and Bates 2021, section 1).

    Raises:
        DataError: for fewer scores than :func:`cases_needed`.
    """
    needed = cases_needed(case_level)
    if len(scores) < needed:
        fault = f"a calibration with --case_level {case_level:g} needs {needed} cases, and there are {len(scores)}"
        remedy = "give more held-out cases by --datalist, or a lower --case_level (0.5 promises the median case)"
        raise DataError(fault, remedy)
    rank = math.ceil(round((len(scores) + 1) * case_level, DIGITS))
    return float(np.sort(scores)[rank - 1])


def fitted(cases: Sequence[VoxelErrors], unit: str, level: float, case_level: float) -> dict[str, Interval]:
    """The interval of every group; one that too few cases have takes that of all voxels.

    Args:
        cases: of the calibration.
        unit: of the target.
        level: share of a case's voxels of a group that lie within the interval.
        case_level: share of the cases in which they do; exchangeable cases only.

    Raises:
        DataError: for too few cases.
        ConfigError: for a level outside (0, 1).
    """
    require_level("level", level)
    everywhere = _interval(cases, level, case_level)
    parts: dict[str, list[VoxelErrors]] = {}
    for case in cases:
        for name, where in groups_of(case.prediction, unit).items():
            own = parts.setdefault(name, [])
            own += [case.within(where)] if np.count_nonzero(where) >= LEAST_VOXELS else []
    few = cases_needed(case_level)
    return {name: everywhere if len(own) < few else _interval(own, level, case_level) for name, own in parts.items()}


def _interval(cases: Sequence[VoxelErrors], level: float, case_level: float) -> Interval:
    """The constant interval, or the narrowest with the spread if that is narrower by :data:`GAIN`, as a mean."""

    def factor(floor: float, weight: float) -> float:
        scores = [np.quantile(each.error / (weight * each.spread + floor), level, method="higher") for each in cases]
        return conformal_quantile([float(score) for score in scores], case_level)

    constant = factor(1.0, 0.0)
    usual = float(np.median([np.median(each.spread) for each in cases]))
    mean = float(np.mean([np.mean(each.spread) for each in cases]))
    tried = {floor: factor(floor, 1.0) for floor in np.multiply(FLOORS, usual).tolist() if floor > 0}
    best = min(tried, key=lambda floor: tried[floor] * (mean + floor), default=0.0)
    if not tried or tried[best] * (mean + best) > (1 - GAIN) * constant:
        return Interval(constant, 0.0, len(cases))
    return Interval(tried[best] * best, tried[best], len(cases))


def half_widths(prediction: np.ndarray, spread: np.ndarray, intervals: Mapping[str, Interval], unit: str) -> np.ndarray:
    """Half-width of the interval of every voxel, float32, of the shape of ``prediction``, in its unit.

    Args:
        prediction: in the target's unit, any shape.
        spread: of the same shape and unit; of one value where no interval uses it.
        intervals: of :func:`fitted`.
        unit: of the target.
    """
    widths = np.empty(prediction.shape, dtype=np.float32)
    everywhere = np.broadcast_to(np.asarray(spread, dtype=np.float32), prediction.shape)
    for name, where in groups_of(prediction, unit).items():
        widths[where] = intervals[name].constant + intervals[name].per_spread * everywhere[where]
    return widths


def removed_around(source: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Local root mean square of source minus prediction, float32 (X, Y, Z): the noise that a restoration took away.

    The error that is left grows with it from scan to scan and from dose to dose, which a constant cannot follow.
    """
    squares = ndimage.gaussian_filter(np.square(source - prediction, dtype=np.float32), REMOVED_VOXELS)
    local: np.ndarray = np.sqrt(np.maximum(squares, 0))
    return local


def use_spread(intervals: Mapping[str, Interval]) -> bool:
    """Whether half-widths depend on the spread."""
    return any(interval.per_spread > 0 for interval in intervals.values())

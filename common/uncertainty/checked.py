"""Coverage and sharpness of intervals by case and group, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from common.uncertainty.conformal import ALL, LEAST_VOXELS, Sample, groups_of, half_widths
from common.uncertainty.record import Record

RANKED = 20000
"""Voxels of which the rank correlation is computed, evenly taken."""


class Checked(NamedTuple):
    """The intervals of one case and group, and ``constant_...`` those of constant width.

    ``coverage`` is the share of voxels whose error is at most the half width, ``width`` the mean half width in the
    unit, ``correlation`` Spearman's of half width and absolute error; nan where one of them is constant.
    """

    case: str
    group: str
    coverage: float
    width: float
    correlation: float
    constant_coverage: float
    constant_width: float

    @classmethod
    def of(cls, case: str, sample: Sample, record: Record) -> Iterator[Checked]:
        """One row for all voxels and one for each group that the case has."""
        own = half_widths(sample.prediction, sample.spread, record.intervals, record.unit)
        level = half_widths(sample.prediction, np.zeros_like(sample.spread), record.constant, record.unit)
        places = {ALL: np.ones(sample.error.shape, dtype=bool), **groups_of(sample.prediction, record.unit)}
        for group, where in places.items():
            if np.count_nonzero(where) >= LEAST_VOXELS:
                error, widths, constant = sample.error[where], own[where], level[where]
                yield cls(
                    case,
                    group,
                    float(np.mean(error <= widths)),
                    float(np.mean(widths)),
                    _rank_correlation(widths, error),
                    float(np.mean(error <= constant)),
                    float(np.mean(constant)),
                )


def table(rows: Sequence[Checked], record: Record) -> str:
    """Rows of all cases, then of each group: means over cases, the worst case, and the cases that keep the level."""
    lines = [f"{'case':24} group  coverage  half width ({record.unit})  rank corr.  constant: coverage  half width"]
    for row in rows:
        lines.append(_line(row.case, row))
    lines.append("")
    for group in dict.fromkeys(row.group for row in rows):
        own = [row for row in rows if row.group == group]
        means = (float(np.nanmean([row[place] for row in own])) for place in range(2, len(Checked._fields)))
        kept = sum(row.coverage >= record.level for row in own)
        level = sum(row.constant_coverage >= record.level for row in own)
        worst = min(row.coverage for row in own)
        lines.append(_line(f"mean of {len(own)} cases", Checked("", group, *means)))
        told = f"{kept} of {len(own)} cases reach {record.level:g}, worst {worst:.3f}"
        lines.append(f"{'':24} {group:5}  {told}; constant width {level}")
    return "\n".join(lines)


def _line(name: str, row: Checked) -> str:
    own = f"{row.coverage:8.3f}  {row.width:10.4g}{'':9}{row.correlation:10.2f}"
    return f"{name:24} {row.group:5}  {own}  {row.constant_coverage:18.3f}  {row.constant_width:10.4g}"


def _rank_correlation(widths: np.ndarray, error: np.ndarray) -> float:
    step = max(1, len(error) // RANKED)
    some, other = widths[::step], error[::step]
    if np.ptp(some) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(stats.spearmanr(some, other).statistic)

"""Coverage and sharpness of intervals by case and group, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from .conformal import ALL, LEAST_VOXELS, LESION, Interval, Sample, cut, half_widths
from .record import Record

RANKED = 20000
"""Voxels of which the rank correlation is computed, evenly taken."""
BY_MASK = "by mask"
"""The row of lesions with the interval calibrated on lesions; the row ``lesion`` has the intervals of a map."""


class Checked(NamedTuple):
    """The intervals of one case and group, as a map has them, and ``constant_...`` those of constant width.

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
        """One row for all voxels and one for each group of the case; lesions also with their own interval."""
        places = {ALL: np.ones(sample.error.shape, dtype=bool), **sample.groups(record.unit)}
        for group, where in places.items():
            if np.count_nonzero(where) >= LEAST_VOXELS:
                part = sample.within(where)
                yield cls._of(case, group, part, (record.intervals, record.constant), record.unit)
                if group == LESION and LESION in record.intervals:
                    own = [{ALL: each[LESION]} for each in (record.intervals, record.constant)]
                    yield cls._of(case, BY_MASK, part, own, "")

    @classmethod
    def _of(
        cls, case: str, group: str, sample: Sample, intervals: Sequence[Mapping[str, Interval]], unit: str
    ) -> Checked:
        spreads = (sample.spread, np.zeros_like(sample.spread))
        widths, constant = (
            cut(half_widths(sample.prediction, spread, each, unit), sample.prediction, sample.window)
            for spread, each in zip(spreads, intervals, strict=True)
        )
        return cls(
            case,
            group,
            float(np.mean(sample.error <= widths)),
            float(np.mean(widths)),
            _rank_correlation(widths, sample.error),
            float(np.mean(sample.error <= constant)),
            float(np.mean(constant)),
        )


def table(rows: Sequence[Checked], record: Record) -> str:
    """Rows of all cases, then of each group: means over cases, the worst case, and the cases that keep the level."""
    lines = [f"{'case':24} group    coverage  half width ({record.unit})  rank corr.  constant: coverage  half width"]
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
        lines.append(f"{'':24} {group:7}  {told}; constant width {level}")
    if any(row.group == LESION for row in rows):
        lines.append(f"{LESION}: voxels of the lesion mask, with the intervals of a map; {BY_MASK}: with their own")
    return "\n".join(lines)


def _line(name: str, row: Checked) -> str:
    own = f"{row.coverage:8.3f}  {row.width:10.4g}{'':9}{row.correlation:10.2f}"
    return f"{name:24} {row.group:7}  {own}  {row.constant_coverage:18.3f}  {row.constant_width:10.4g}"


def _rank_correlation(widths: np.ndarray, error: np.ndarray) -> float:
    step = max(1, len(error) // RANKED)
    some, other = widths[::step], error[::step]
    if np.ptp(some) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(stats.spearmanr(some, other).statistic)

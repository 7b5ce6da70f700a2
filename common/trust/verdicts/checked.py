"""True and predicted errors of a check, and their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ...io.export.verdicts import ACCEPT, LOOK, REFUSE
from .record import Record
from .samples import INTACT
from .verdict import Verdict


class Checked(NamedTuple):
    """A case, ``kind`` of its distortion, its true mean absolute error in the unit, and its verdict."""

    case: str
    kind: str
    error: float
    verdict: Verdict


def table(rows: Sequence[Checked], record: Record) -> str:
    """Means by kind with the counts of the verdicts, then rank correlations, misses, and refusals of small errors.

    A kind with a star was not among those that were fitted.
    """
    lines = [f"{'kind':28} cases  MAE ({record.unit})  predicted  accept  look  refuse"]
    known_kinds = {INTACT, *record.distortions}
    for kind in sorted(dict.fromkeys(row.kind for row in rows), key=lambda kind: kind not in known_kinds):
        own = [row for row in rows if row.kind == kind]
        counts = Counter(row.verdict.verdict for row in own)
        known = kind in known_kinds
        true, told, _ = _numbers(own).mean(axis=0)
        numbers = "".join(f"{counts[verdict]:6d}" for verdict in (ACCEPT, LOOK, REFUSE))
        lines.append(f"{kind + ('' if known else ' *'):28} {len(own):5d}  {true:8.4g}  {told:9.4g}  {numbers}")
    parts = {
        "all": rows,
        "intact": [row for row in rows if row.kind == INTACT],
        "intact and fitted": [row for row in rows if row.kind in known_kinds],
        "others (*)": [row for row in rows if row.kind not in known_kinds],
    }
    lines += ["", *(_agreement(name, part) for name, part in parts.items())]
    limit = record.limits.mae[REFUSE]
    bad = [row.verdict.verdict for row in rows if row.error > limit]
    good = [row.verdict.verdict for row in rows if row.error <= limit]
    lines.append(f"MAE above {limit:.4g}: {len(bad)} samples, {bad.count(ACCEPT)} of them accepted")
    lines.append(f"MAE of {limit:.4g} or less: {len(good)} samples, {good.count(REFUSE)} of them refused")
    return "\n".join(lines)


def _agreement(name: str, rows: Sequence[Checked]) -> str:
    """Of the rows whose error could be predicted."""
    numbers = _numbers([row for row in rows if np.isfinite(row.verdict.predicted)])
    if len(numbers) < 3:
        return f"{name:18} {len(numbers):4d} samples, too few to compare"
    true, told, upper = numbers.T
    rank, factor = stats.spearmanr(true, told).statistic, np.exp(np.median(np.abs(np.log(true / told))))
    within = np.mean(true <= upper)
    found = f"rank correlation {rank:.2f}, median factor {factor:.2f}, {within:.2f} within the upper bound"
    return f"{name:18} {len(true):4d} samples, {found}"


def _numbers(rows: Sequence[Checked]) -> np.ndarray:
    """True and predicted error and upper bound of each row (N, 3)."""
    return np.array([(row.error, row.verdict.predicted, row.verdict.upper) for row in rows]).reshape(-1, 3)

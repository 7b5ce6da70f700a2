"""Coverage and width of the intervals, and verdicts, on cases that were not calibrated on; their tables."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..data.datalist import Item
from ..errors import DataError, user_error_in
from ..io.export.verdicts import REFUSE, VERDICTS
from ..simulation.corruptions.graded import CORRUPTIONS
from .corrupted import corrupted
from .held_out_errors import LESION, CaseErrors, HeldOutErrors
from .intervals import ALL, LEAST_VOXELS, VoxelErrors, cut, groups_of, half_widths, use_spread
from .record import TrustRecord
from .verdict import verdict_of

logger = logging.getLogger(__name__)
INTACT = "intact"
EVERY = 4
"""Each corruption is tried on every fourth case."""


class Coverage(NamedTuple):
    """Share of the voxels of a case and group within their intervals, and mean half-width, in the unit."""

    group: str
    coverage: float
    width: float


class CheckedCase(NamedTuple):
    """A case, intact or with a ``corruption``: its mean absolute error and verdict; coverage where it is intact."""

    case: str
    corruption: str
    mae: float
    verdict: str
    coverage: list[Coverage]


def checked_cases(items: Sequence[Item], infer: HeldOutErrors, record: TrustRecord) -> list[CheckedCase]:
    """Infer cases as they are, and each with some corruptions; one that the method refuses to infer is skipped."""
    rows = []
    for number, item in enumerate(tqdm(items, "check", unit="case", disable=None)):
        intact = infer(item, use_spread(record.intervals))
        rows.append(_checked(intact, INTACT, record, list(coverage_of(intact.voxels, record))))
        kinds = [kind for place, kind in enumerate(CORRUPTIONS) if (place + number) % EVERY == 0]
        for kind, changed in corrupted(item, kinds, infer.reader):
            try:
                rows.append(_checked(infer(changed), kind, record, []))
            except Exception as error:  # a chain of transforms wraps the error of one of them
                if not isinstance(mistake := user_error_in(error), DataError):
                    raise
                logger.warning(f"{kind}: skipped, since its inference fails: {mistake}")
    return rows


def _checked(errors: CaseErrors, corruption: str, record: TrustRecord, coverage: list[Coverage]) -> CheckedCase:
    verdict = verdict_of(errors.features, record.limits).verdict
    return CheckedCase(errors.case, corruption, errors.mae, verdict, coverage)


def coverage_of(voxels: VoxelErrors, record: TrustRecord) -> Iterator[Coverage]:
    """Of all voxels, of each group of the case, and of its lesions, all with the intervals of a map."""
    widths = half_widths(voxels.prediction, voxels.spread, record.intervals, record.unit)
    widths = cut(widths, voxels.prediction, voxels.window)
    lesion = {} if voxels.lesion is None else {LESION: voxels.lesion}
    everywhere = {ALL: np.ones(widths.shape, dtype=bool)}
    for group, where in {**everywhere, **groups_of(voxels.prediction, record.unit), **lesion}.items():
        if np.count_nonzero(where) >= LEAST_VOXELS:
            covered = np.mean(voxels.error[where] <= widths[where])
            yield Coverage(group, float(covered), float(np.mean(widths[where])))


def table(rows: Sequence[CheckedCase], record: TrustRecord) -> str:
    """Coverage by case and its means by group, then the counts of verdicts by corruption, and what was missed."""
    lines = [f"{'case':24} group    coverage  half-width ({record.unit})"]
    covered = [(row.case, each) for row in rows for each in row.coverage]
    lines += [_line(case, each) for case, each in covered]
    for group in dict.fromkeys(each.group for _, each in covered):
        own = [each for _, each in covered if each.group == group]
        mean = Coverage(group, *np.mean([each[1:] for each in own], axis=0).tolist())
        enough, worst = sum(each.coverage >= record.level for each in own), min(each.coverage for each in own)
        lines.append(f"{_line('mean', mean)}, {enough} of {len(own)} cases reach {record.level:g}, worst {worst:.3f}")
    lines += ["", f"{'corruption':28} cases  MAE ({record.unit})   accept  review  refuse"]
    for kind in dict.fromkeys((INTACT, *sorted(row.corruption for row in rows))):
        of_kind = [row for row in rows if row.corruption == kind]
        counts = Counter(row.verdict for row in of_kind)
        numbers = "".join(f"{counts[verdict]:8d}" for verdict in VERDICTS)
        lines.append(f"{kind:28} {len(of_kind):5d}  {np.mean([row.mae for row in of_kind]):8.4g}  {numbers}")
    upper = record.limits.upper_mae
    worse = Counter(row.verdict for row in rows if row.mae > upper)
    others = Counter(row.verdict for row in rows if row.mae <= upper)
    lines.append(f"MAE above {upper:.4g}: {worse.total()} samples, {worse.total() - worse[REFUSE]} of them not refused")
    lines.append(f"MAE of {upper:.4g} or less: {others.total()} samples, {others[REFUSE]} of them refused")
    return "\n".join(lines)


def _line(name: str, row: Coverage) -> str:
    return f"{name:24} {row.group:7}  {row.coverage:8.3f}  {row.width:10.4g}"

"""Paired significance tests of one method against the others, with verdicts that account for small samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from .metric_info import MetricInfo, metric_info
from .tables import metrics_frame

LEVEL = 0.05
SMALLEST_N = 6
"""Smallest number of pairs at which the two-sided signed-rank test can reach p < 0.05: 2 / 2^6 = 0.03125."""


@dataclass(frozen=True)
class Comparison:
    """Paired test of one metric between the reference method and another method, over the cases of both.

    Args:
        metric: the metric's name.
        other: the other method.
        n: cases with values of both, infinite ones included.
        difference: mean of reference - other, or of their distances to the ideal if the metric has one.
        p: two-sided p of the Wilcoxon signed-rank test; NaN for n = 0.
        p_holm: p after Holm's correction over the methods compared on this metric.
        verdict: the outcome in words.
        decidable: whether as many pairs could reach significance with other values.
    """

    metric: str
    other: str
    n: int
    difference: float
    p: float
    p_holm: float
    verdict: str
    decidable: bool


def holm(p: Sequence[float]) -> np.ndarray:
    """P-values (N,) after Holm's step-down correction (1979).

    The k-th smallest of m values is multiplied by m - k + 1; results are monotonic and at most 1. NaN (no test) stays
    NaN and does not count in m.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    order = [index for index in np.argsort(values) if np.isfinite(values[index])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test of paired ``differences`` (N,) without zeros; 1 if all are zero."""
    if differences.size == 0:
        return float("nan")
    differing = differences[differences != 0]
    return float(wilcoxon(differing, alternative="two-sided").pvalue) if differing.size else 1.0


def compare(rows: Sequence[Mapping[str, Any]], reference: str = "model") -> list[Comparison]:
    """Paired tests of ``reference`` against every other method for each metric, over the cases of both.

    Metrics with an ideal value (``sharpness``, ``bias``) are compared by their distance to it.

    Returns:
        Comparisons ordered by metric, then method; none without another method or without ``reference``.

    Raises:
        DataError: as ``metrics_frame``.
    """
    frame = metrics_frame(rows)
    others = [method for method in frame["method"].unique() if method != reference]
    if reference not in frame["method"].to_numpy():
        return []
    comparisons = []
    for name in frame.columns[2:]:
        table = frame.pivot(index="case", columns="method", values=name)
        info = metric_info(name)
        pairs = [table[[reference, other]].to_numpy() for other in others]
        costs = [_cost_differences(pair[~np.isnan(pair).any(axis=1)], info) for pair in pairs]
        p = [signed_rank_p(cost) for cost in costs]
        floors = holm([_smallest_p(cost) for cost in costs])
        for other, cost, raw, adjusted, floor in zip(others, costs, p, holm(p), floors, strict=True):
            shown = -cost if info.direction == "higher" else cost
            difference = float(shown.mean()) if shown.size else float("nan")
            words = _verdict(cost, float(adjusted), float(floor), reference, info)
            decidable = bool(floor < LEVEL)
            comparisons.append(Comparison(name, other, cost.size, difference, raw, float(adjusted), words, decidable))
    return comparisons


def _cost_differences(pairs: np.ndarray, info: MetricInfo) -> np.ndarray:
    """Cost of the first minus that of the second of pairs (N, 2); 0 where both are infinite."""
    ours, theirs = info.badness(pairs[:, 0]), info.badness(pairs[:, 1])
    costs: np.ndarray = np.subtract(ours, theirs, out=np.zeros(len(pairs)), where=ours != theirs)
    return costs


def _smallest_p(costs: np.ndarray) -> float:
    """Smallest p that the test can reach, that of differences of one sign; the smallest Holm-corrected p follows."""
    return min(1.0, 2 / 2 ** np.count_nonzero(costs)) if costs.size else float("nan")


def _verdict(costs: np.ndarray, p_holm: float, floor: float, reference: str, info: MetricInfo) -> str:
    differing = int(np.count_nonzero(costs))
    if costs.size == 0:
        return "no case has both values"
    if differing == 0:
        return "equal in every case"
    if differing < SMALLEST_N:
        few = f"n = {differing}" if differing == costs.size else f"{differing} of {costs.size} pairs differ, which is"
        return f"{few} too small for p < {LEVEL} (at best {_smallest_p(costs):.3g})"
    if floor >= LEVEL:
        return f"n = {differing} too small for p < {LEVEL} (at best {floor:.3g} after Holm)"
    if p_holm >= LEVEL:
        return "no significant difference"
    if info.direction == "unknown":
        return "different"
    return f"{reference} better" if np.median(costs) < 0 else f"{reference} worse"

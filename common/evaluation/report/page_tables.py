"""Tables of a page: summary, cases and paired tests, as formatted cells."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .contents import Report
from .metric_info import MetricInfo, metric_info
from .ranking import Ranking
from .significance import LEVEL, SMALLEST_N, Comparison
from .tables import NO_CASE, Summary, infinite_cases, metric_names, metrics_frame, number

SHOWN = 6
"""Columns of metrics that are not folded."""


@dataclass(frozen=True)
class Heading:
    """Column heading of a metric: its key, plain name, arrow, unit, and definition with the arrow in words."""

    key: str
    name: str
    arrow: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class TableCell:
    """Cell of the summary table: mean, standard deviation, number of cases, and whether it is the column's best."""

    mean: str
    std: str
    n: int
    best: bool


def headings(report: Report) -> list[Heading]:
    """Columns of the tables of metrics."""
    known = {name: metric_info(name) for name in metric_names(report.summary)}
    return [Heading(key, each.name, each.arrow, each.in_unit(report.unit), each.meaning) for key, each in known.items()]


def summary_cells(report: Report) -> dict[str, list[TableCell]]:
    """Summary table: per method one cell for each metric (n = 0 if it lacks the metric), with the best means marked."""
    return _cells(report, report.summary, marked=True)


def group_cells(report: Report) -> dict[str, dict[str, list[TableCell]]]:
    """Tables by centre and body part: per group and method one cell for each metric, without marks."""
    return {key.replace("_", " "): _cells(report, groups, marked=False) for key, groups in report.groups.items()}


def _cells(report: Report, summary: Summary, marked: bool) -> dict[str, list[TableCell]]:
    table: dict[str, list[TableCell]] = {method: [] for method in summary}
    for name in metric_names(report.summary):
        found = {method: cells[name] for method, cells in summary.items() if name in cells}
        info = metric_info(name)
        best = _best({method: cell["mean"] for method, cell in found.items()}, info) if marked else set()
        for method in table:
            table[method].append(_cell(found.get(method, NO_CASE), info, method in best))
    return table


def _cell(cell: Mapping[str, Any], info: MetricInfo, best: bool) -> TableCell:
    mean, std, n = cell["mean"], cell["std"], cell["n"]
    if n < 2 or not math.isfinite(mean):
        return TableCell(infinite_cases(cell, info) or number(mean), "", n, best)
    scale = max(abs(mean), std)
    return TableCell(number(mean, scale), number(std, scale), n, best)


def _best(means: Mapping[str, float], info: MetricInfo) -> set[str]:
    costs = {method: float(info.badness(np.asarray(mean))) for method, mean in means.items() if not math.isnan(mean)}
    if info.direction == "unknown" or len(costs) < 2 or min(costs.values()) == math.inf:
        return set()
    return {method for method, cost in costs.items() if cost == min(costs.values())}


def per_case(report: Report, ranking: Ranking) -> list[dict[str, Any]]:
    """Table of cases, worst first: case, method and formatted metrics of each row; ``span`` as in ``_spans``."""
    frame, names = metrics_frame(report.rows), metric_names(report.summary)
    order = {case: place for place, case in enumerate(ranking.cases)}
    frame = frame.iloc[np.argsort(frame["case"].map(order).to_numpy(), kind="stable")]
    texts = [[number(value) for value in row] for row in frame.reindex(columns=names).to_numpy()]
    keys = zip(frame["case"], frame["method"], texts, strict=True)
    return _spans([{"case": case, "method": method, "values": values} for case, method, values in keys], "case")


def comparison_rows(report: Report, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Table of the paired tests with formatted numbers; ``span`` as in ``_spans``, ``folded`` as the columns are."""
    order, rows = metric_names(report.summary), []
    for test in sorted(comparisons, key=lambda test: order.index(test.metric)):
        info = metric_info(test.metric)
        name = f"{info.name}, distance to {info.ideal:g}" if info.direction == "ideal" else info.name
        texts = {"p": _p_text(test.p), "p_holm": _p_text(test.p_holm), "difference": _signed(test.difference)}
        about = {"metric": name, "key": test.metric, "meaning": info.meaning, "unit": info.in_unit(report.unit)}
        folded = order.index(test.metric) >= SHOWN
        rows.append({**about, "other": test.other, "n": test.n, "verdict": test.verdict, "folded": folded, **texts})
    return _spans(rows, "metric")


def too_few_cases(comparisons: Sequence[Comparison]) -> str:
    """One sentence where no test can reach significance, whatever the values; empty otherwise, and without tests."""
    if not comparisons or any(test.decidable for test in comparisons):
        return ""
    n = max(test.n for test in comparisons)
    return (
        f"n = {n} is too small: no paired test can reach p < {LEVEL}, whatever the values. Wilcoxon's signed-rank test "
        f"needs {SMALLEST_N} cases that differ, and more if several methods are compared (Holm's correction)."
    )


def _spans(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows with ``span`` (the HTML rowspan): their number for the first of those equal in ``key``, 0 for the others."""
    counts = Counter(row[key] for row in rows)
    return [{**row, "span": counts.pop(row[key], 0)} for row in rows]


def _p_text(p: float) -> str:
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value).replace("-", "−")


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as a flat table of dotted names and formatted values."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat
